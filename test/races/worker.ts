import type { SQSRecord } from 'aws-lambda'
import fc from 'fast-check'
import type { FastifyBaseLogger } from 'fastify'
import { MailDeferred, MailRefused, MailUnconfirmed } from '../../src/modules/email/errors.ts'
import { createQueue } from '../../src/modules/email/queue.ts'
import { createRepository } from '../../src/modules/email/repository.ts'
import { formatMessage } from '../../src/modules/email/schemas.ts'
import { createService } from '../../src/modules/email/service.ts'
import { createWorker } from '../../src/modules/email/worker.ts'
import { newId } from '../../src/shared/ids.ts'
import { call } from './schedule.ts'
import { demand, type Race } from './search.ts'
import { unconditional, type World } from './world.ts'

const SECOND = 1000
/** The time of an invocation, and what its lease lasts longer. */
const INVOCATION = 240 * SECOND
const AFTER_LEASE = INVOCATION + 20 * SECOND

/** What the mail server does with a mail. `silent`: it takes the mail, or not, and does not answer. */
type Smtp = 'accept' | 'defer' | 'refuse' | 'silent, accepted' | 'silent'

/**
 * worker ∥ worker: one message that is delivered to several workers at once; and again after their leases, as long as none has
 * handled it. The real worker, service and repository; the mail server is a call like the others.
 */
export async function createWorkerRace (world: World): Promise<Race<{ workers: number, answers: Smtp[] }>> {
  const messageId = newId()
  const message = { type: 'WELCOME_EMAIL' as const, messageId, userId: newId(), email: 'ada@example.com', name: 'Ada', challengeId: newId(), locale: 'en' }
  const begin = world.snapshot()
  const log = { child: () => log, info () {}, warn () {}, debug () {}, error () {} } as unknown as FastifyBaseLogger

  function createWorkerOn (send: (mail: { messageId: string, text: string }) => Promise<void>, now: () => number) {
    const [{ dynamodb, sqs }] = world.apps
    const queue = createQueue({ sqs, queueUrl: 'http://127.0.0.1:9/000000000000/EmailQueue' })
    const service = createService({
      repository: createRepository({ dynamodb, table: 'EmailTable', now }),
      queue,
      sender: { send },
      addresses: { statusAgainst: async () => undefined },
      render: async ({ challenge }) => ({ subject: '', text: challenge?.code ?? '', html: '', toName: '' }),
      codeOf: id => id,
      from: { name: '', address: 'users@example.com' },
      count: () => {},
      now
    })
    return createWorker({ service, queue, keys: { refresh: async () => {} }, count: () => {}, spans: { run: async (_span, work) => await work() }, log, now })
  }

  return {
    name: 'worker',
    scenario: fc.record({ workers: fc.integer({ min: 2, max: 3 }), answers: fc.array(fc.constantFrom<Smtp>('accept', 'defer', 'silent, accepted', 'silent', 'refuse'), { maxLength: 3 }) }),
    plants: {
      'a lease is taken whoever has it': unconditional(({ Item }) => Item?.state === 'sending'),
      'a sent mail is not recorded': (_command, { Item }) => Item?.state === 'sent' ? {} : undefined,
      'a lease never ends': (_command, input) => { if (input['Item']?.state === 'sending') input['ConditionExpression'] = 'attribute_not_exists(messageId)' }
    },

    async play ({ workers, answers }, { together }) {
      begin()
      const start = world.now()
      let now = start
      let handedOver = 0
      /** mails that the server has accepted, and those of them after which a worker could not know it */
      let accepted = 0
      let isRefused = false
      let excuses = 0
      let dead = 0
      const texts = new Set<string>()

      const worker = createWorkerOn((mail) => call({
        label: 'the mail',
        execute () {
          texts.add(`${mail.messageId} ${mail.text}`)
          const answer = answers[handedOver++] ?? 'accept'
          if (answer === 'accept' || answer === 'silent, accepted') accepted++
          if (answer === 'silent, accepted') excuses++
          if (answer === 'refuse') isRefused = true
          if (answer === 'defer') throw new MailDeferred('451')
          if (answer === 'refuse') throw new MailRefused('550')
          if (answer !== 'accept') throw new MailUnconfirmed('timeout')
        }
      }), () => now)

      /** records that are to be delivered, by body and attributes */
      let waiting = [{ body: formatMessage(message), attributes: {} as Record<string, { StringValue?: string }>, sentAt: start, receives: 0, isDone: false }]
      let known = world.queue.length

      for (let round = 1; waiting.length > 0; round++) {
        demand(round < 30, () => 'a message is delivered again without end')
        const actors = await together(({ add }) => {
          for (const record of waiting) {
            // The queue delivers a record to one worker, and sometimes to more.
            for (let i = 0; i < (round <= 2 ? workers : 1); i++) {
              record.receives++
              const receives = record.receives
              add(`worker ${round}.${i}`, async () => {
                const { batchItemFailures } = await worker.handleBatch({
                  Records: [{
                    messageId: newId(),
                    receiptHandle: 'x',
                    body: record.body,
                    attributes: { ApproximateReceiveCount: String(Math.min(receives, 2)), SentTimestamp: String(record.sentAt), ApproximateFirstReceiveTimestamp: String(record.sentAt) },
                    messageAttributes: Object.fromEntries(Object.entries(record.attributes).map(([name, { StringValue }]) => [name, { stringValue: StringValue }]))
                  } as unknown as SQSRecord]
                }, { deadline: now + INVOCATION })
                if (batchItemFailures.length === 0) record.isDone = true
              })
            }
          }
        })
        // A worker that was stopped after its mail was accepted could not say so.
        excuses += actors.filter(({ state }) => state === 'stopped').length
        now += AFTER_LEASE
        waiting = waiting.filter(({ isDone }) => !isDone)
        waiting.push(...world.queue.slice(known).map(({ body, attributes }) => ({ body, attributes, sentAt: now, receives: 0, isDone: false })))
        known = world.queue.length
        // After its last try a record is received on its way to the dead-letter queue only. There an operator finds it.
        const isDead = ({ receives, attributes }: typeof waiting[number]) => receives > 2 && attributes['unconfirmed']?.StringValue === '2'
        dead += waiting.filter(isDead).length
        waiting = waiting.filter(record => !isDead(record))
      }

      demand(accepted >= 1 || isRefused || dead >= 1, () => 'a mail is lost')
      demand(accepted <= 1 + excuses, () => `${accepted} mails are sent for one message, with ${excuses} workers that could not know`)
      demand(texts.size <= 1, () => 'two mails of one message differ')
    }
  }
}
