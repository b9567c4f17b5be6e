import { SendMessageCommand } from '@aws-sdk/client-sqs'
import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { checkMessage, formatMessage } from './schemas.ts'

/**
 * What stays in the app when the e-mail worker has become a service of its own: the same name, the same contract, and
 * nothing behind it but the queue. `src/app.ts` registers it in the module's place.
 */
export default fp(async function email (app) {
  const { config, sqs } = app
  app.decorate('email', {
    async enqueue (message, correlationId) {
      checkMessage(message)
      await sqs.send(new SendMessageCommand({
        QueueUrl: config.EMAIL_QUEUE_URL,
        MessageBody: formatMessage(message),
        MessageAttributes: { correlationId: { DataType: 'String', StringValue: correlationId } }
      }))
      app.metrics.count('MailsQueued')
    }
  })
}, { name: 'email', dependencies: ['config', 'sqs', 'metrics'] })
