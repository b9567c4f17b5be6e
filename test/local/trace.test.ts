import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLogFiles, readLogFiles } from '../../local/log-files.ts'
import { storyOf, textOf } from '../../scripts/trace/story.ts'
import { run } from './npm-scripts.ts'
import { ROOT } from './running.ts'

// A whole story, from a real run of npm start, is in start.test.ts, and one from CloudWatch in trace.slow.test.ts.

const line = (fields: object) => JSON.stringify({ level: 'info', time: '2026-11-26T10:00:00.500Z', service: 'user-service', environment: 'local', correlationId: 'one', ...fields })

t.test('steps are in the order in which they began, and a request began before it was logged', t => {
  const story = storyOf([
    line({ time: '2026-11-26T10:00:00.900Z', messageId: 'm', sqsMessageId: 's', type: 'WELCOME_EMAIL', msg: 'mail sent' }),
    line({ time: '2026-11-26T10:00:00.510Z', eventId: 'e', eventType: 'code.requested', waitedMs: 12, msg: 'handled' }),
    line({ method: 'POST', route: '/v2/users', statusCode: 202, durationMs: 30.4, msg: 'answered', _aws: {}, RequestSeconds: 0.0304 }),
    line({ correlationId: 'another', msg: 'answered' }),
    line({ msg: 'about one', correlationId: 'one-more' }),
    'START RequestId: one', '{"time":1}', '{"cut', '"one"', 'null'
  ], 'one')
  t.equal(textOf(story, 'one'), [
    'one, 2026-11-26 (UTC)', '',
    '10:00:00.470              request  POST /v2/users answered 202 after 30.4 ms',
    '10:00:00.510      +40 ms  outbox   code.requested handled 12 ms after it was written  eventId=e',
    '10:00:00.900     +390 ms  mail     mail sent (WELCOME_EMAIL)  messageId=m sqsMessageId=s', '',
    '3 steps in 430 ms'
  ].join('\n'))
  t.end()
})

t.test('what went wrong is named, and nothing in a line reaches the terminal as a command', t => {
  const text = textOf(storyOf([line({ level: 'warn', sqsMessageId: 's', attempt: 1, msg: 'mail not sent', err: { type: 'MailDeferred', message: 'busy \u001b[2J', stack: 'at x' } })], 'one'), 'one')
  t.match(text, /mail +WARN: mail not sent \(MailDeferred: busy \?\[2J\) {2}sqsMessageId=s attempt=1\n/)
  t.notMatch(text, 'at x')
  t.end()
})

t.test('the local log is bounded: two files, the older lines are gone', t => {
  const dir = join(t.testdir(), 'log')
  t.equal(readLogFiles(dir), undefined)
  const log = openLogFiles(dir, 1000)
  for (let i = 0; i < 100; i++) log.write(`${JSON.stringify({ i, padding: 'x'.repeat(50) })}\n`)
  const kept = readLogFiles(dir)!.map(text => (JSON.parse(text) as { i: number }).i)
  t.same(kept, Array.from({ length: kept.length }, (_, i) => 100 - kept.length + i), 'the newest, in order')
  t.ok(kept.length > 10 && kept.length < 40, `${kept.length} lines`)
  t.equal(statSync(join(dir, 'app.1.ndjson')).mode & 0o777, 0o600)

  // Another process goes on where the last one ended.
  const before = readFileSync(join(dir, 'app.ndjson'), 'utf8')
  openLogFiles(dir, 1000).write('{"i":100}\n')
  t.equal(readFileSync(join(dir, 'app.ndjson'), 'utf8'), `${before}{"i":100}\n`)
  t.end()
})

t.test('a log that cannot be written stops nothing', t => {
  const dir = t.testdir({ file: '' })
  const log = openLogFiles(join(dir, 'file', 'log'))
  t.doesNotThrow(() => log.write('{}\n'))
  t.end()
})

t.test('npm run trace says what is missing, in one line', async t => {
  const dir = t.testdir()
  const trace = (...args: string[]) => run(t, [join(ROOT, 'scripts/trace.ts'), ...args], { env: { LOCAL_DATA_DIR: dir } })
  t.match(await trace(), { code: 2, stderr: 'Expected one correlation id: npm run trace -- ID. --help says where it is found\n' })
  t.match(await trace('a b'), { code: 2, stderr: /^This is no correlation id: .+\n$/ })
  t.match(await trace('one', '--since', '1h'), { code: 2, stderr: '--since needs --stack: the local log is read whole\n' })
  t.match(await trace('one', '--stack', 's', '--since', 'yesterday'), { code: 2, stderr: /^--since expects minutes, hours or days.+\n$/ })
  t.match(await trace('one'), { code: 1, stdout: '', stderr: `There is no log in ${join(dir, 'log')}: npm start writes it. LOCAL_DATA_DIR names another directory, --stack a stack\n` })
  openLogFiles(join(dir, 'log')).write(`${line({ msg: 'answered', method: 'GET', route: '/v2/users/me', statusCode: 200, durationMs: 1 })}\n`)
  writeFileSync(join(dir, 'log', 'other'), '')
  t.match(await trace('two'), { code: 1, stdout: '', stderr: `There is nothing about two in ${join(dir, 'log')}\n` })
  t.match(await trace('one', '--json'), { code: 0, stdout: /^\[\n {2}\{\n {4}"level": "info"/ })
})
