import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { startEngines } from '../engines.ts'
import { until } from '../until.ts'
import { functionEnv } from './artifact.ts'
import { restEvent } from './transports.ts'

const engines = await startEngines(t)
const OPENAPI = { openapi: '3.1.0', info: { title: 'of the artifact', version: '1' }, paths: {} }

/** What a runtime does with the handler, in a process of its own: its log is the process's output, and its answers are what is sent back. */
const RUNTIME = `
import { start } from './src/lambda/start.ts'
const [directory, isStale] = process.argv.slice(1)
const handler = await (isStale === undefined ? start(directory) : start(directory, isStale === 'true')).catch(error => {
  console.error(error.stack)
  process.exit(1)
})
process.on('message', async event => {
  process.env['_X_AMZN_TRACE_ID'] = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1'
  process.send(await handler(event, {}))
})
process.once('SIGTERM', () => process.exit())
process.send('ready')
`

function startRuntime (t: Test, { env = {}, isStale }: { env?: Record<string, string | undefined>, isStale?: boolean } = {}) {
  const directory = t.testdir({ openapi: { 'v2.json': JSON.stringify(OPENAPI) } })
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', RUNTIME, directory, ...(isStale === undefined ? [] : [String(isStale)])], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...functionEnv(engines), LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  const messages: unknown[] = []
  child.on('message', message => messages.push(message))
  let log = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => { log += text })
  return {
    child,
    log: () => log.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>),
    ready: async () => { await until(() => messages.includes('ready'), { timeoutMs: 30_000 }) },
    async invoke (event: object) {
      const before = messages.length
      child.send(event)
      return await until(() => messages.at(before), { timeoutMs: 30_000 }) as { statusCode: number, body: string }
    }
  }
}

const get = (target: string) => restEvent({ method: 'GET', target })

t.test('the handler serves the documents of its artifact, and the line of an answer carries its metrics', async t => {
  const runtime = startRuntime(t)
  await runtime.ready()
  t.match(await runtime.invoke(get('/health/live')), { statusCode: 200 })
  const document = await runtime.invoke(get('/openapi/v2.json'))
  t.equal(document.statusCode, 200)
  t.match(JSON.parse(document.body), { info: { title: 'of the artifact' } })
  const line = await until(() => runtime.log().find(({ msg }) => msg === 'answered'))
  t.match(line, { _aws: { CloudWatchMetrics: [{ Metrics: [{ Name: 'RequestSeconds' }] }] } })
  t.notOk(runtime.log().some(({ msg }) => String(msg).includes('code cache')))
})

t.test('a code cache of another runtime is said once, with the version of Node', async t => {
  const runtime = startRuntime(t, { isStale: true })
  await runtime.ready()
  await runtime.invoke(get('/health/live'))
  const lines = await until(() => runtime.log().filter(({ msg }) => String(msg).includes('code cache')))
  t.match(lines, [{ level: 'warn', node: process.version }])
  const fresh = startRuntime(t, { isStale: false })
  await fresh.ready()
  await fresh.invoke(get('/health/live'))
  t.notOk(fresh.log().some(({ msg }) => String(msg).includes('code cache')))
})

t.test('calls of AWS are parts of the invocation\'s trace, where X-Ray\'s daemon is', async t => {
  const packets: string[] = []
  const daemon = createSocket('udp4', message => { packets.push(message.toString()) })
  daemon.bind(0, '127.0.0.1')
  await once(daemon, 'listening')
  t.teardown(() => daemon.close())
  const runtime = startRuntime(t, { env: { AWS_XRAY_DAEMON_ADDRESS: `127.0.0.1:${daemon.address().port}` } })
  await runtime.ready()
  await runtime.invoke(restEvent({ method: 'POST', target: '/v2/users', headers: [['content-type', 'application/json']], body: '{"email":"traced-start@example.com","name":"Ada"}' }))
  await until(() => packets.some(packet => packet.includes('"trace_id":"1-5759e988-bd862e3fe1be46a994272793","parent_id":"53995c3f42cd8ad8"')))
})

t.test('a bad configuration ends the start with one line', async t => {
  const { child } = startRuntime(t, { env: { USERS_TABLE: undefined } })
  const [error, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  t.equal(code, 1)
  t.match(error, /^ConfigError: Configuration: USERS_TABLE is missing[^\n]*\n$/, 'where in the code it was found says nothing')
})
