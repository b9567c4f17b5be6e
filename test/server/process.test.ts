import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { startEngines } from '../engines.ts'
import { until } from '../until.ts'
import { startCollector } from './collector.ts'

const engines = await startEngines(t)

/** The plain server as a process of its own, with what it says. */
function startServer (t: Test, env: Record<string, string | undefined> = {}) {
  const child = spawn(process.execPath, ['src/server.ts'], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...engines.env, LOG_LEVEL: 'info', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit')
  let out = ''
  let error = ''
  child.stdout.on('data', text => { out += String(text) })
  child.stderr.on('data', text => { error += String(text) })
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGINT')
    await exited
  })
  return {
    child,
    exited,
    url: async () => await until(() => /Server listening at (http:[^"]+)/.exec(out)?.[1], { timeoutMs: 30_000 }),
    lines: () => out.split('\n').filter(line => line.endsWith('}')).map(line => JSON.parse(line) as Record<string, unknown>),
    error: () => error
  }
}

t.test('a server shows its documents and where its metrics are, answers a request once, and stops when it is asked to', async t => {
  const { child, exited, url, lines } = startServer(t, { METRICS_PORT: '0' })
  const api = await url()
  t.match(lines().find(({ msg }) => msg === 'metrics are shown'), { url: /^http:\/\/127\.0\.0\.1:\d+\/metrics$/ })
  const document = await fetch(`${api}/openapi/v2.json`)
  t.equal(document.status, 200)
  t.match(await document.json(), { openapi: '3.1.0', paths: { '/v2/users': {} } })
  t.equal((await fetch(`${api}/v2/users/me`, { headers: { 'x-correlation-id': 'once' } })).status, 401)
  child.kill('SIGTERM')
  await until(async () => (await fetch(`${api}/health/ready`)).status === 503)
  t.same(await exited, [0, null])
  t.equal(lines().filter(({ correlationId }) => correlationId === 'once').length, 1)
  t.match(lines().at(-1), { msg: 'stopping', signal: 'SIGTERM' })
})

t.test('what is left of traces is sent before the process ends', async t => {
  const collector = await startCollector(t)
  const { child, exited, url } = startServer(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  await fetch(`${await url()}/v2/users/me`)
  child.kill('SIGINT')
  t.same(await exited, [0, null])
  t.match(collector.spans, [{ name: 'GET /v2/users/me' }])
})

t.test('a thousand requests run at once, and further ones are refused', async t => {
  const { url } = startServer(t)
  const { port, origin } = new URL(await url())
  const sockets: Socket[] = []
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  for (let i = 0; i < 1000; i++) {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
    socket.write('POST /v2/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{')
    sockets.push(socket)
  }
  await until(async () => (await fetch(`${origin}/v2/users/me`)).status === 503)
  t.equal((await fetch(`${origin}/health/live`)).status, 200)
})

t.test('a server that does not start says why: in one line what the user can change, everything else with its stack', async t => {
  const { url } = startServer(t)
  const { port } = new URL(await url())
  const taken = startServer(t, { PORT: port })
  t.same(await taken.exited, [1, null])
  t.equal(taken.error(), `PORT: port ${port} is in use, set PORT to another port, or to 0 for a free one\n`)

  const secret = startServer(t, { JWT_SECRET: undefined, JWT_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:jwt', AWS_ENDPOINT_URL: 'http://127.0.0.1:9' })
  t.same(await secret.exited, [1, null])
  t.match(secret.error(), /JWT_SECRET_ARN[^]*^ +at /m)
})
