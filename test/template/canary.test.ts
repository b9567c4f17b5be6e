import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'
import { evaluate, loadTemplate } from './evaluate.ts'
import { grantsOf } from './iam.ts'

// The canary's script, as it stands in the template, against the service.

const template = evaluate(loadTemplate(), { SyntheticCanary: 'true' })
const { Code: { Script, Handler }, Schedule, RunConfig } = template.Resources['RegistrationCanary']!.Properties as { Code: { Script: string, Handler: string }, Schedule: { Expression: string }, RunConfig: { EnvironmentVariables: Record<string, unknown> } }

const dir = mkdtempSync(join(tmpdir(), 'user-service-canary-'))
t.teardown(() => rmSync(dir, { recursive: true }))
const [file, name] = Handler.split('.') as [string, string]
writeFileSync(join(dir, `${file}.cjs`), Script)
const script = createRequire(import.meta.url)(join(dir, `${file}.cjs`)) as { isDue: (now: Date) => boolean, run: (registers: boolean) => Promise<void> } & Record<string, () => Promise<void>>

t.teardown(() => { delete process.env['BASE_URL'] })
const run = async (url: string, registers = true) => { process.env['BASE_URL'] = url; await script.run(registers) }

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const url = await app.listen({ host: '127.0.0.1', port: 0 })

t.test('it registers a new address of the mailbox simulator each time, and its accounts are removed by themselves', async t => {
  t.strictSame(Object.keys(RunConfig.EnvironmentVariables), ['BASE_URL'])
  for (let i = 0; i < 5; i++) await run(url)
  await pump(app, engines)
  const to = await until(() => {
    const addresses = engines.mails.map(mail => [mail.to].flat()[0]!.value[0]!.address!)
    return addresses.length === 5 && addresses
  })
  t.equal(new Set(to).size, 5)
  for (const address of to) t.match(address, /^success\+[0-9a-f-]{36}@simulator\.amazonses\.com$/)
  const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName: engines.env['USERS_TABLE'] }))
  const accounts = Items.filter(({ kind }) => kind === 'user')
  t.equal(accounts.length, 5)
  for (const { status, expiresAt } of accounts) {
    t.equal(status, 'PENDING_VERIFICATION')
    t.ok(Math.abs(expiresAt - Date.now() / 1000 - 7 * 24 * 3600) < 600, 'a week')
  }
})

t.test('its registrations fit into the share of codes that its addresses have together', async t => {
  // The labels after the plus do not count: the sixth within the hour is refused, and reading goes on.
  await t.rejects(run(url), { message: /^\/v2\/users: expected 202; status 429/ })
  await t.resolves(run(url, false))

  t.equal(Schedule.Expression, 'cron(0/15 * * * ? *)')
  const due = Array.from({ length: 96 }, (_, i) => new Date(Date.UTC(2026, 10, 26, 0, i * 15, 20))).filter(script.isDue)
  t.equal(due.length, 8, 'of the ten codes a day (promise 30)')
  t.ok(due.every(at => at.getUTCHours() % 3 === 0), 'three hours apart')
  t.type(script[name], 'function', 'the handler')
  t.ok(template.Resources['SyntheticCanaryAlarm']!.Properties['Period'] >= 2 * 15 * 60, 'a window of the alarm always has a run in it')
})

/** A server whose answers to a path are changed. */
async function changed (path: string, answer: { status: number, body: string, type?: string }): Promise<string> {
  const server = createServer((request, response) => {
    const own = request.url === path ? answer : request.url === '/health/ready' ? { status: 200, body: '{"checks":{"dynamodb":{"status":"healthy"},"sqs":{"status":"healthy"}}}' } : { status: 202, body: JSON.stringify({ challengeId: 'c', expiresAt: new Date(Date.now() + 600_000).toISOString() }) }
    response.writeHead(own.status, { 'content-type': 'type' in own ? own.type : 'application/json', 'x-correlation-id': 'corr-1' }).end(own.body)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('it fails when an answer is not what a user needs, and names the request', async t => {
  await t.resolves(run(await changed('/none', { status: 200, body: '' })), 'the server that the others are made of passes')
  const soon = new Date(Date.now() + 1000).toISOString()
  for (const [path, answer] of [
    ['/health/ready', { status: 503, body: '{"status":"unhealthy"}' }],
    ['/health/ready', { status: 200, body: '{"checks":{"dynamodb":{"status":"healthy"},"sqs":{"status":"unhealthy"}}}' }],
    ['/health/ready', { status: 200, body: '<html>', type: 'text/html' }],
    ['/v2/users', { status: 429, body: '{"code":"AUTH_CODES_EXHAUSTED"}', type: 'application/problem+json' }],
    ['/v2/users', { status: 202, body: '{}' }],
    ['/v2/users', { status: 202, body: `{"challengeId":"c","expiresAt":"${soon}"}` }]
  ] as const) await t.rejects(run(await changed(path, answer)), { message: /^\/.+: expected .+; status \d+, correlation id corr-1$/ }, `${path} ${answer.body}`)
  await t.rejects(run('http://127.0.0.1:9'))
  // The next answer is right.
  let asked = 0
  const server = createServer((_request, response) => { response.writeHead(asked++ === 0 ? 503 : 200, { 'content-type': 'application/json' }).end('{"checks":{"dynamodb":{"status":"healthy"},"sqs":{"status":"healthy"}}}') })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  await t.resolves(run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, false), 'what fails once is tried again')
  t.equal(asked, 2)
})

t.test('it may write its results, its log and its metric, and nothing else', async t => {
  const grants = grantsOf(template, 'CanaryRole')
  t.strictSame(Object.values(grants).flat().sort(), ['cloudwatch:PutMetricData', 'logs:CreateLogStream', 'logs:PutLogEvents', 's3:GetBucketLocation', 's3:ListAllMyBuckets', 's3:PutObject'])
  const statements = template.Resources['CanaryRole']!.Properties['Policies'][0].PolicyDocument.Statement as { Action: string, Condition?: object }[]
  t.match(statements.find(({ Action }) => Action === 'cloudwatch:PutMetricData')!.Condition, { StringEquals: { 'cloudwatch:namespace': 'CloudWatchSynthetics' } })
  t.notOk('RegistrationCanary' in evaluate(loadTemplate()).Resources, 'it is off by default')
})
