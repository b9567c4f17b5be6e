import fp from 'fastify-plugin'
import { createAddresses } from './addresses.ts'
import type {} from './contract.ts'
import { createQueue } from './queue.ts'
import { createReceipts } from './receipts.ts'
import { createRenderer } from './renderer.ts'
import { createRepository } from './repository.ts'
import { BREAKER, createSender, mailboxOf, type Sender } from './sender.ts'
import { createService } from './service.ts'
import { EmailAttributes, EmailMessage } from './schemas.ts'
import { createWorker } from './worker.ts'

/** Mails. Other modules queue them and the worker sends them. */
export default fp(async function email (app) {
  app.apiDocs.queue({ name: 'emailQueue', description: 'Mails to be sent. Other services may put messages on the queue; the worker checks each one.', message: EmailMessage, attributes: EmailAttributes })
  const { config, dynamodb, keys, log, metrics: { count }, spans, sqs } = app
  const from = mailboxOf(config.EMAIL_FROM)
  const traced = ({ send }: Sender): Sender => ({ send: (mail, deadline) => spans.run({ name: 'send mail', kind: 'client' }, () => send(mail, deadline)) })
  const queue = createQueue({ sqs, queueUrl: config.EMAIL_QUEUE_URL, traceparent: spans.traceparent })
  const renderer = createRenderer({
    directory: config.MAIL_TEMPLATES_DIR,
    brand: config.BRAND_NAME ?? (from.name || new URL(config.PUBLIC_URL).host),
    colour: config.BRAND_COLOR,
    logoUrl: config.BRAND_LOGO_URL,
    contact: from.address,
    verifyUrl: config.VERIFY_URL ?? `${config.PUBLIC_URL}/verify`
  })
  // A wrong template stops the start, and not a mail.
  if (config.MAIL_TEMPLATES_DIR !== undefined) await renderer.load()
  const repository = createRepository({ dynamodb, table: config.EMAIL_TABLE })
  const addresses = createAddresses({ repository, recipients: keys.recipients })
  const receiptsQueue = config.MAIL_RECEIPTS_QUEUE_URL
  const service = createService({
    queue,
    count,
    repository,
    // Where no receipts come, there is nothing to look up before each mail.
    addresses: receiptsQueue === undefined ? { statusAgainst: async () => undefined } : addresses,
    sender: traced(createSender({
      config,
      traced: app.aws.traced,
      breaker: app.breakers.add('mail', {
        ...BREAKER,
        onOpen: () => count('MailServerUnavailable'),
        onClose: () => count('MailServerRestored')
      })
    })),
    render: renderer.render,
    codeOf: keys.codeOf,
    from
  })
  const worker = createWorker({ service, queue, keys, count, spans, log })
  const receipts = createReceipts({ addresses, keys, count, log })
  app.decorate('email', { enqueue: service.enqueue, follow: receipts.follow, readmit: addresses.readmit, forget: addresses.forget })
  app.consumers.add({ queue: config.EMAIL_QUEUE_URL }, worker.handleBatch)
  if (receiptsQueue !== undefined) app.consumers.add({ queue: receiptsQueue }, receipts.handleBatch)
}, { name: 'email', dependencies: ['config', 'breakers', 'aws', 'consumers', 'sqs', 'dynamodb', 'keys', 'metrics', 'spans', 'docs'] })
