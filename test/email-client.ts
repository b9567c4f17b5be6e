import fp from 'fastify-plugin'
import { createQueue } from '../src/modules/email/queue.ts'

/**
 * What stays in the app when the e-mail worker has become a service of its own: the same name, the same contract, and
 * nothing behind it but the queue.
 */
export default fp(async function email (app) {
  const queue = createQueue(app.sqs, app.config.EMAIL_QUEUE_URL)
  app.decorate('email', {
    enqueue: (message, correlationId) => queue.send(message, correlationId),
    handleBatch: async () => { throw new Error('mails are sent by another service') }
  })
}, { name: 'email', dependencies: ['config', 'sqs'] })
