import type { SQSEvent } from 'aws-lambda'
import fp from 'fastify-plugin'
import { createQueue } from './queue.ts'
import { createRepository } from './repository.ts'
import { checkMessage } from './schemas.ts'
import { createSender } from './sender.ts'
import { createWorker } from './worker.ts'

/** Mails: queued by other modules, sent by the worker. */
export default fp(async function email (app) {
  const { config, dynamodb, keys, log, metrics: { count }, sqs } = app
  const queue = createQueue(sqs, config.EMAIL_QUEUE_URL)
  const sender = createSender(config)
  const worker = createWorker({
    config,
    count,
    log,
    queue,
    sender,
    keys,
    repository: createRepository(dynamodb, config.EMAIL_TABLE)
  })

  async function handleBatch (event: SQSEvent) {
    await keys.refresh()
    return await worker.handleBatch(event)
  }

  app.decorate('email', {
    async enqueue (message, correlationId) {
      checkMessage(message)
      await queue.send(message, correlationId)
      count('MailsQueued')
    },
    handleBatch
  })
  app.consumers.add({ queue: config.EMAIL_QUEUE_URL }, handleBatch)
  app.addHook('onClose', async () => { sender.close() })
}, { name: 'email', dependencies: ['config', 'sqs', 'dynamodb', 'keys', 'metrics'] })
