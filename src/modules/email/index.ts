import fp from 'fastify-plugin'
import { createQueue } from './queue.ts'
import { createRepository } from './repository.ts'
import { checkMessage } from './schemas.ts'
import { createSender } from './sender.ts'
import { createWorker } from './worker.ts'

/** Mails: queued by other modules, sent by the worker. */
export default fp(async function email (app) {
  const { config, dynamodb, log, sqs } = app
  const { count } = app.metrics
  const queue = createQueue(sqs, config.EMAIL_QUEUE_URL)
  const sender = createSender(config)
  const worker = createWorker({
    config,
    count,
    log,
    queue,
    sender,
    codeKey: () => app.keys.current.code,
    repository: createRepository(dynamodb, config.EMAIL_TABLE)
  })

  app.decorate('email', {
    async enqueue (message, correlationId) {
      checkMessage(message)
      await queue.send(message, correlationId)
      count('MailsQueued')
    },
    handleBatch: worker.handleBatch
  })
  app.consumers.add({ queue: config.EMAIL_QUEUE_URL }, worker.handleBatch)
  app.addHook('onClose', async () => { sender.close() })
}, { name: 'email', dependencies: ['config', 'sqs', 'dynamodb', 'keys', 'metrics'] })
