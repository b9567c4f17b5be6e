import fp from 'fastify-plugin'
import type { Metric } from '../../plugins/metrics.ts'
import { codeFor } from '../../shared/codes.ts'
import type {} from './contract.ts'
import { createQueue } from './queue.ts'
import { createRepository } from './repository.ts'
import { createSender, mailboxOf } from './sender.ts'
import { createService, type MailMetric } from './service.ts'
import { createWorker } from './worker.ts'

/** Mails: queued by other modules, sent by the worker. */
export default fp(async function email (app) {
  const { dynamodb, log, sqs } = app
  const config: typeof app.config & { VERIFY_URL?: string } = app.config
  const from = mailboxOf(config.EMAIL_FROM)
  const count = (metric: MailMetric) => app.count(metric as Metric)
  const queue = createQueue({ sqs, queueUrl: config.EMAIL_QUEUE_URL })
  const service = createService({
    queue,
    count,
    repository: createRepository({ dynamodb, table: config.EMAIL_TABLE }),
    sender: createSender({ config }),
    codeOf: challengeId => codeFor(app.keys.current.code, challengeId),
    settings: { from, brand: from.name || new URL(config.PUBLIC_URL).host, verifyUrl: config.VERIFY_URL ?? `${config.PUBLIC_URL}/verify` }
  })
  const { handleBatch } = createWorker({ service, queue, count, log })
  app.decorate('email', { enqueue: service.enqueue, handleBatch })
}, { name: 'email', dependencies: ['config', 'sqs', 'dynamodb', 'keys', 'metrics'] })
