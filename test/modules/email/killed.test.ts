import { UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines, type Engines } from '../../engines.ts'
import { report, workload } from '../../promise.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

/** Hands records to a worker that is killed once the mail server has accepted one of their mails. */
async function deliverAndKill (t: Test, engines: Engines, Records: object[]): Promise<void> {
  const worker = spawn(process.execPath, ['--no-warnings', new URL('killed-worker.ts', import.meta.url).pathname, JSON.stringify({ Records })],
    { env: { ...process.env, ...engines.env, NODE_COMPILE_CACHE: join(engines.dir, 'code') }, stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(() => worker.kill('SIGKILL'))
  t.equal((await once(worker, 'exit'))[1], 'SIGKILL')
}

/** Lets the time of a message's lease pass, if the worker had got that far. */
async function endLease (app: TestApp, messageId: string): Promise<void> {
  await app.dynamodb.send(new UpdateCommand({
    TableName: 'EmailTable', Key: { messageId }, UpdateExpression: 'SET leaseUntil = :past', ConditionExpression: 'attribute_exists(messageId)', ExpressionAttributeValues: { ':past': Date.now() - 1 }
  })).catch((error: Error) => { if (error.name !== 'ConditionalCheckFailedException') throw error })
}

t.test('a worker killed between the acceptance of a mail and its record, over and over: none is lost, and at most one is sent twice for each kill', async (t) => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const messages = Array.from({ length: workload({ short: 3, full: 100 }) }, () => emailMessage())
  const Records = messages.map(message => sqsRecord(message))
  const left = [...Records]
  await Promise.all([1, 2].map(async () => {
    for (let record = left.shift(); record !== undefined; record = left.shift()) await deliverAndKill(t, engines, [record])
  }))
  t.equal(engines.mails.length, messages.length, 'each had been accepted')
  for (const { messageId } of messages) await endLease(app, messageId)
  // The queue delivers each again, and once more.
  for (const time of ['again', 'once more']) {
    for (let i = 0; i < Records.length; i += 10) t.same(await deliverMails(app, { Records: Records.slice(i, i + 10) }), { batchItemFailures: [] }, time)
  }

  const sent = messages.map(({ messageId }) => engines.mails.filter(mail => mail.messageId === `<${messageId}@example.com>`))
  const lost = sent.filter(mails => mails.length === 0).length
  const duplicates = engines.mails.length - messages.length
  const alike = sent.filter(mails => new Set(mails.map(({ text }) => text)).size === 1).length
  report(t, {
    promise: 6,
    figure: `${messages.length} kills: ${lost} lost, ${duplicates} duplicates, ${alike} messages with one code and one Message-ID`,
    holds: lost === 0 && duplicates <= messages.length && alike === messages.length
  })
})

t.test('a worker killed after a mail was accepted and before it is recorded: the next delivery sends the very same mail', async (t) => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const messages = Array.from({ length: 3 }, () => emailMessage())
  const Records = messages.map(message => sqsRecord(message))

  await deliverAndKill(t, engines, Records)
  const duplicates = engines.mails.length
  t.ok(duplicates >= 1, 'it had sent something')

  for (const { messageId } of messages) await endLease(app, messageId)
  t.same(await deliverMails(app, { Records }), { batchItemFailures: [] })
  t.same(await deliverMails(app, { Records }), { batchItemFailures: [] }, 'and then it is done')

  t.equal(engines.mails.length, messages.length + duplicates)
  for (const { messageId } of messages) {
    const mails = engines.mails.filter(mail => mail.messageId === `<${messageId}@example.com>`)
    t.ok(mails.length >= 1)
    t.equal(new Set(mails.map(({ text }) => text)).size, 1, 'one code, one wording')
  }
})
