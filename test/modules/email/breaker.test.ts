import t from 'tap'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { startTcpProxy } from '../../tcp-proxy.ts'
import { until } from '../../until.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

const engines = await startEngines(t)
const proxy = await startTcpProxy(t, Number(new URL(engines.env['SMTP_URL']!).port))
const app = await buildTestApp(t, engines, { env: { SMTP_URL: `smtp://127.0.0.1:${proxy.port}` } })

const counted = (metric: string) => app.logLines.filter(line => line[metric] === 1).length
const postponed = () => engines.sqs.inspectQueue('EmailQueue')!.messages.delayed.length

/** Delivers a batch of ten mails; resolves to its messages and to how long it took. */
async function deliverBatch () {
  const messages = Array.from({ length: 10 }, () => emailMessage())
  const start = performance.now()
  const { batchItemFailures } = await deliverMails(app, { Records: messages.map(message => sqsRecord(message)) })
  return { messages, batchItemFailures, took: performance.now() - start }
}

async function readiness () {
  const answer = await app.inject('/health/ready')
  return { statusCode: answer.statusCode, ...answer.json<{ status: string, checks: Record<string, object> }>() }
}

t.test('while the mail server does not answer, mails go back to the queue at once', async t => {
  t.match(await readiness(), { statusCode: 200, status: 'healthy', checks: { dynamodb: { breaker: 'closed' } } })
  t.same(Object.keys((await readiness()).checks), ['dynamodb', 'sqs', 'redis'], 'nothing about mails while they are sent')

  proxy.set('silent')
  const first = await deliverBatch()
  t.same(first.batchItemFailures, [], 'no receive is used up')
  t.ok(first.took > 2900, `the first batch waits for the greeting: ${Math.round(first.took)} ms`)
  t.equal(app.breakers.stateOf('mail'), 'open')
  t.equal(counted('MailServerUnavailable'), 1)

  const [connections, before, start] = [proxy.accepted, postponed(), performance.now()]
  for (let batch = 0; batch < 2; batch++) {
    const accepted = proxy.accepted
    const { batchItemFailures, took } = await deliverBatch()
    t.same(batchItemFailures, [])
    // Unless it came a second later, and with it the next trial.
    if (proxy.accepted === accepted) t.ok(took < 2000, `${Math.round(took)} ms`)
  }
  t.equal(postponed() - before, 20, 'each is queued again, with a delay')
  const seconds = (performance.now() - start) / 1000
  t.ok(proxy.accepted - connections <= 1 + seconds, `${proxy.accepted - connections} connections for 20 mails in ${seconds.toFixed(1)} s: one trial a second`)
})

t.test('readiness shows it, and requests are still served', async t => {
  // A report is reused for a second.
  t.match(await until(async () => { const report = await readiness(); return 'mail' in report.checks ? report : undefined }), { statusCode: 200, status: 'degraded', checks: { mail: { status: 'unhealthy', latencyMs: 0, breaker: 'open' } } })
})

t.test('once the server answers again, a batch is sent whole: one mail tries, the others wait for it', async t => {
  proxy.set('clear')
  // The pause between two trials, from when the last one failed.
  const { time } = app.logLines.findLast(line => line['dependency'] === 'mail' && line['breaker'] === 'open')!
  await until(() => Date.now() - Date.parse(String(time)) >= 1000)
  const connections = proxy.accepted
  const { messages, batchItemFailures } = await deliverBatch()
  t.same(batchItemFailures, [])
  for (const { email } of messages) t.equal(engines.mailsTo(email).length, 1)
  t.equal(proxy.accepted - connections, 10)
  t.equal(app.breakers.stateOf('mail'), 'closed')
  t.equal(counted('MailServerRestored'), 1)
})

t.test('a server that defers or rejects mails answers, and is asked for each', async t => {
  for (const answer of ['451 4.7.1 greylisted, try again later', '550 5.1.1 no such user']) {
    engines.faults.smtp.refuse = () => answer
    const connections = proxy.accepted
    await deliverBatch()
    await deliverBatch()
    engines.faults.smtp.refuse = undefined
    t.equal(proxy.accepted - connections, 20)
    t.equal(app.breakers.stateOf('mail'), 'closed')
  }
})
