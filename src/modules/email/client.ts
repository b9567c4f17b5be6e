import { SendMessageCommand } from '@aws-sdk/client-sqs'
import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { checkMessage, formatMessage } from './schemas.ts'

/**
 * Replaces this module in the app once the e-mail worker runs as its own service. It has the same name and contract, and
 * only puts messages on the queue. `src/app.ts` registers it instead of the module.
 */
export default fp(async function email (app) {
  const { config, sqs } = app
  app.decorate('email', {
    async enqueue (message, correlationId) {
      checkMessage(message)
      const traceparent = app.spans.traceparent()
      await sqs.send(new SendMessageCommand({
        QueueUrl: config.EMAIL_QUEUE_URL,
        MessageBody: formatMessage(message),
        MessageAttributes: {
          correlationId: { DataType: 'String', StringValue: correlationId },
          ...(traceparent === undefined ? {} : { traceparent: { DataType: 'String', StringValue: traceparent } })
        }
      }))
      app.metrics.count('MailsQueued')
    },
    // The service that sends the mails gets their receipts, and decides about addresses by itself.
    follow () {},
    async readmit () {},
    async forget () {}
  })
}, { name: 'email', dependencies: ['config', 'sqs', 'metrics', 'spans'] })
