import { UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { buildTestApp, startEngines } from '../../helper.ts'
import { deliverMails, emailMessage, sqsRecord } from './records.ts'

t.test('a worker killed after a mail was accepted and before it is recorded: the next delivery sends the very same mail', async (t) => {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const messages = Array.from({ length: 3 }, () => emailMessage())
  const Records = messages.map(message => sqsRecord(message))

  const worker = spawn(process.execPath, ['--no-warnings', new URL('killed-worker.ts', import.meta.url).pathname, JSON.stringify({ Records })],
    { env: { ...process.env, ...engines.env }, stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(() => worker.kill('SIGKILL'))
  t.equal((await once(worker, 'exit'))[1], 'SIGKILL')
  const duplicates = engines.mails.length
  t.ok(duplicates >= 1, 'it had sent something')

  for (const { messageId } of messages) {
    // Lets the time of its lease pass, if it had got that far.
    await app.dynamodb.send(new UpdateCommand({
      TableName: 'EmailTable', Key: { messageId }, UpdateExpression: 'SET leaseUntil = :past', ConditionExpression: 'attribute_exists(messageId)', ExpressionAttributeValues: { ':past': Date.now() - 1 }
    })).catch((error: Error) => { if (error.name !== 'ConditionalCheckFailedException') throw error })
  }
  t.same(await deliverMails(app, { Records }), { batchItemFailures: [] })
  t.same(await deliverMails(app, { Records }), { batchItemFailures: [] }, 'and then it is done')

  t.equal(engines.mails.length, messages.length + duplicates)
  for (const { messageId } of messages) {
    const mails = engines.mails.filter(mail => mail.messageId === `<${messageId}@example.com>`)
    t.ok(mails.length >= 1)
    t.equal(new Set(mails.map(({ text }) => text)).size, 1, 'one code, one wording')
  }
})
