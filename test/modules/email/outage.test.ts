import { GetCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createRenderer } from '../../../src/modules/email/renderer.ts'
import { createRepository } from '../../../src/modules/email/repository.ts'
import type { Dispatch } from '../../../src/modules/email/queue.ts'
import type { EmailMessage } from '../../../src/modules/email/schemas.ts'
import { BREAKER, createSender } from '../../../src/modules/email/sender.ts'
import { createService } from '../../../src/modules/email/service.ts'
import { createWorker } from '../../../src/modules/email/worker.ts'
import { createBreaker } from '../../../src/shared/breaker.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { report, workload } from '../../promise.ts'
import { until } from '../../until.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

// A mail server, a table and the worker as they are; clock and queue are the test's, so that ten minutes pass at once.

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const { smtp } = engines.faults

interface Waiting {
  at: number
  message: EmailMessage
  dispatch: Dispatch
}

function createWorld (t: Test, { smtpUrl = smtp.url } = {}) {
  const start = Date.now()
  let clock = start
  const now = () => clock
  const waiting: Waiting[] = []
  /** the seconds for which each message has been postponed, by its id */
  const delays = new Map<string, number[]>()
  const counts: Record<string, number> = {}
  const count = (metric: string) => { counts[metric] = (counts[metric] ?? 0) + 1 }
  const queue = {
    async send (message: EmailMessage, dispatch: Dispatch) {
      t.ok((dispatch.delaySeconds ?? 0) <= 900, 'SQS delays a message by 900 s at the most')
      if (dispatch.delaySeconds !== undefined) delays.set(message.messageId, [...delays.get(message.messageId) ?? [], dispatch.delaySeconds])
      waiting.push({ at: clock + (dispatch.delaySeconds ?? 0) * 1000, message, dispatch })
    },
    async showIn () {}
  }
  const service = createService({
    queue,
    count,
    now,
    repository: createRepository({ dynamodb: app.dynamodb, table: 'EmailTable', now }),
    sender: createSender({ config: { ...app.config, SMTP_URL: smtpUrl }, traced: app.aws.traced, breaker: createBreaker({ ...BREAKER, now }) }),
    addresses: { statusAgainst: async () => undefined },
    codeOf: id => id.replaceAll(/\D/g, '').padEnd(8, '0').slice(0, 8),
    render: createRenderer({ brand: 'Acme', contact: 'no-reply@example.com', verifyUrl: 'https://acme.example/verify' }).render,
    from: { name: 'Acme', address: 'no-reply@example.com' }
  })
  const worker = createWorker({ service, queue, keys: app.keys, count, spans: app.spans, now, log: app.log })
  /** Seconds since the start. */
  const elapsed = () => (clock - start) / 1000

  return {
    counts,
    waiting,
    delays,
    elapsed,
    message: (changes: Partial<EmailMessage> = {}) => emailMessage({ messageId: randomUUID(), expiresAt: new Date(start + 600_000).toISOString(), ...changes }),
    enqueue: service.enqueue,

    /** Delivers what is due, and jumps to when the next is due, until nothing is left or the time is up. Resolves to what failed. */
    async run ({ until = Infinity, onTime = async () => {} }: { until?: number, onTime?: (seconds: number) => Promise<void> } = {}): Promise<Waiting[]> {
      const failed: Waiting[] = []
      while (waiting.length > 0) {
        const next = Math.min(...waiting.map(({ at }) => at))
        if ((next - start) / 1000 > until) break
        clock = Math.max(clock, next)
        await onTime(elapsed())
        const batch = waiting.filter(({ at }) => at <= clock).slice(0, 10)
        for (const one of batch) waiting.splice(waiting.indexOf(one), 1)
        const records = batch.map(({ message, dispatch: { attempt = 0, unconfirmed = 0 } }) => sqsRecord(message, { attempt, unconfirmed, sentAt: clock, firstReceivedAt: clock }))
        const { batchItemFailures } = await worker.handleBatch({ Records: records })
        for (const { itemIdentifier } of batchItemFailures) failed.push(batch[records.findIndex(({ messageId }) => messageId === itemIdentifier)]!)
      }
      return failed
    }
  }
}

const { mailsTo } = engines

t.test('a server that greylists for 300 s gets every mail while its code is good', async (t) => {
  const world = createWorld(t)
  const messages = Array.from({ length: 25 }, () => world.message())
  for (const message of messages) await world.enqueue(message, 'greylisted')
  smtp.refuse = () => world.elapsed() < 300 ? '451 4.7.1 greylisted, try again later' : undefined
  t.same(await world.run(), [], 'nothing is on its way to the dead-letter queue')
  smtp.refuse = undefined
  t.ok(world.elapsed() < 450, `the last is sent after ${world.elapsed()} s`)
  for (const { email } of messages) {
    const [mail, ...more] = mailsTo(email)
    t.same(more, [])
    t.match(mail!.text, /^ {4}\d{8}$/m)
  }
  t.equal(world.counts['MailsSent'], 25)
})

for (const [minutes, seconds, wait] of [[3, 180, 120], [10, 600, 120], [120, 7200, 900]] as const) {
  t.test(`a server that is away for ${minutes} minutes loses no mail, and none arrives with a dead code`, async (t) => {
    const world = createWorld(t)
    const messages = Array.from({ length: minutes === 10 ? workload({ short: 12, full: 300 }) : 12 }, () => world.message())
    const { challengeId, expiresAt, ...notice } = world.message({ type: 'EMAIL_CHANGED_NOTICE' })
    for (const message of [...messages, notice]) await world.enqueue(message, 'outage')
    await smtp.stop()
    let isAway = true
    t.teardown(async () => { if (isAway) await smtp.start() })
    let lastCode = 0
    const failed = await world.run({
      async onTime (elapsed) {
        if (world.waiting.some(({ message }) => message.challengeId !== undefined)) lastCode = elapsed
        if (isAway && elapsed >= seconds) {
          await smtp.start()
          isAway = false
        }
      }
    })
    t.same(failed, [])
    const isLate = seconds > 570
    const lost = messages.filter(({ email }) => mailsTo(email).length === 0).length
    const waits = messages.map(({ messageId }) => world.delays.get(messageId) ?? [])
    const backsOff = waits.every(list => list.length >= 3 && list.every((delay, i) => delay >= (list[i - 1] ?? 30)))
    report(t, {
      promise: 9,
      part: `${minutes} minutes`,
      figure: `${lost} of ${messages.length} mails lost, tried again after ${waits[0]!.slice(0, 4).join(', ')} s …, the last ${lastCode - seconds} s after the return`,
      holds: lost === 0 && backsOff && lastCode - seconds <= wait
    })
    for (const { email } of messages) {
      const [mail, ...more] = mailsTo(email)
      t.same(more, [], 'one mail each')
      t[isLate ? 'notMatch' : 'match'](mail!.text, /\d{8}/)
      if (isLate) t.match(mail!.text, 'Get a new code\nhttps://acme.example/verify\n')
    }
    t.ok(lastCode - seconds <= wait, `the last of them is sent ${lastCode - seconds} s after its return`)
    t.equal(mailsTo(notice.email).length, 1)
    t.equal(world.counts['MailsExpired'], undefined)
  })
}

t.test('a table that does not answer for three minutes makes no dead letter: the mails are sent once it is back, with good codes', async (t) => {
  const world = createWorld(t)
  const messages = Array.from({ length: 12 }, () => world.message())
  for (const message of messages) await world.enqueue(message, 'table')
  await engines.faults.dynamodb.stop()
  let isAway = true
  t.teardown(async () => { if (isAway) await engines.faults.dynamodb.start() })
  const failed = await world.run({
    async onTime (elapsed) {
      if (!isAway || elapsed < 180) return
      await engines.faults.dynamodb.start()
      isAway = false
      await until(() => app.dynamodb.send(new GetCommand({ TableName: 'EmailTable', Key: { messageId: 'none' } })).then(() => true, () => false))
    }
  })
  t.same(failed, [], 'a receive is for what only another delivery can mend')
  for (const { messageId, email } of messages) {
    t.same(world.delays.get(messageId), [30, 60, 120])
    const [mail, ...more] = mailsTo(email)
    t.match(mail?.text, /^ {4}\d{8}$/m)
    t.same(more, [])
  }
})

t.test('a server that is away for more than a day ends in the dead-letter queue, and a mail from there can be sent', async (t) => {
  const world = createWorld(t, { smtpUrl: 'smtp://127.0.0.1:1' })
  const message = world.message()
  await world.enqueue(message, 'lost')
  const [failed, ...more] = await world.run()
  t.same(more, [])
  t.equal(failed!.message.messageId, message.messageId)
  t.ok(world.elapsed() > 20 * 3600 && world.elapsed() < 30 * 3600, `given up after ${world.elapsed() / 3600} h`)
  const { attempt = 0 } = failed!.dispatch
  t.same(await deliverMails(app, { Records: [sqsRecord(failed!.message, { attempt })] }), { batchItemFailures: [] }, 'sent again with its attributes')
  t.equal(mailsTo(message.email).length, 1)
})

t.test('a message of before codes had an end gets one when it is queued again', async (t) => {
  const world = createWorld(t, { smtpUrl: 'smtp://127.0.0.1:1' })
  const { expiresAt, ...message } = world.message()
  await world.enqueue(message, 'old')
  await world.run({ until: 10 })
  t.match(world.waiting, [{ message: { expiresAt: /^\d{4}-/ } }])
})
