import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { startEngines, until, type Test } from '../helper.ts'

const engines = await startEngines(t)

/** The plain server as a process of its own. */
async function startServer (t: Test) {
  const port = await freePort()
  const child = spawn(process.execPath, ['src/server.ts'], {
    env: { PATH: process.env['PATH'], ...engines.env, AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', LOG_LEVEL: 'error', PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const url = `http://127.0.0.1:${port}`
  await until(() => fetch(`${url}/health/live`, { headers: { connection: 'close' } }).then(answer => answer.ok, () => false), { timeoutMs: 30_000 })
  return { child, port, url }
}

function get (url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode!)).once('error', reject)
    }).once('error', reject).end()
  })
}

t.test('a server that is asked to stop turns unready first, drops no request, and is gone within ten seconds', async (t) => {
  const { child, url } = await startServer(t)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const statuses: Record<string, number> = {}
  let readyStatus = 200
  let sent = 0

  // What a load balancer does: it asks for readiness, and sends requests for as long as that is green.
  const balancer = (async () => {
    while (readyStatus === 200) {
      readyStatus = await get(`${url}/health/ready`, agent).catch(() => 0)
      await sleep(100)
    }
  })()
  const clients = Array.from({ length: 25 }, async () => {
    while (readyStatus === 200) {
      sent++
      const outcome = await get(`${url}/.well-known/jwks.json`, agent).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
      statuses[outcome] = (statuses[outcome] ?? 0) + 1
      await sleep(50)
    }
  })
  await until(() => sent > 500)
  const stoppedAt = performance.now()
  child.kill('SIGTERM')
  await Promise.all([balancer, ...clients])
  t.equal(readyStatus, 503, 'readiness is red while the server still answers')
  const [code] = await once(child, 'exit')
  const took = performance.now() - stoppedAt
  t.comment(`${sent} requests, answers: ${JSON.stringify(statuses)}, gone after ${Math.round(took)} ms`)
  t.same(statuses, { 200: sent })
  t.equal(code, 0)
  t.ok(took <= 10_000)
})

t.test('a stopping server does not wait for connections on which no request is running', async (t) => {
  const HALF = {
    'nothing sent': '',
    'half a request line': 'GET /heal',
    'half of the headers': 'GET /health/live HTTP/1.1\r\nhost: localhost\r\n',
    'half of a second request': 'GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\nGET /health/live HTTP/1.1\r\n',
    'half of a body': 'POST /v2/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{'
  }
  for (const [signal, cases, most] of [
    ['SIGTERM', ['nothing sent'], 7000],
    ['SIGINT', ['nothing sent', 'half a request line', 'half of the headers', 'half of a second request'], 2000],
    ['SIGTERM', Object.keys(HALF), 9000]
  ] as const) {
    const { child, port } = await startServer(t)
    const sockets = cases.map(name => {
      const socket = connect(port, '127.0.0.1').on('error', () => {}).resume()
      socket.write(HALF[name as keyof typeof HALF])
      return socket
    })
    t.teardown(() => { for (const socket of sockets) socket.destroy() })
    // The server has accepted them once it answers on a later one.
    t.equal((await fetch(`http://127.0.0.1:${port}/health/live`, { headers: { connection: 'close' } })).status, 200)
    const start = performance.now()
    child.kill(signal)
    const [code] = await once(child, 'exit')
    const took = performance.now() - start
    t.equal(code, 0, `${signal}: ${cases.join(', ')}`)
    t.ok(took < most, `gone after ${Math.round(took)} ms`)
    t.comment(`${signal}, ${cases.join(', ')}: exit code ${code} after ${Math.round(took)} ms`)
  }
})

t.test('clients that drip bytes are closed within twelve seconds, while others are served', async (t) => {
  const { port, url } = await startServer(t)
  const start = performance.now()
  let closed = 0
  let answered = 0
  const drips = Array.from({ length: 100 }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('data', () => { answered++ })
    socket.write('POST /v2/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{')
    const drip = setInterval(() => socket.write(' '), 500)
    socket.on('close', () => { clearInterval(drip); closed++ })
    return socket
  })
  t.teardown(() => { for (const socket of drips) socket.destroy() })
  const served: number[] = []
  await until(async () => {
    const began = performance.now()
    t.equal((await fetch(`${url}/health/live`)).status, 200)
    served.push(performance.now() - began)
    return closed === drips.length
  }, { timeoutMs: 14_000 })
  t.comment(`${closed} closed after ${Math.round(performance.now() - start)} ms, ${answered} of them with an answer; slowest other answer ${Math.round(Math.max(...served))} ms`)
  t.ok(performance.now() - start <= 12_000)
})

t.test('a configuration that is wrong does not start the server, and says so in one line', async (t) => {
  const child = spawn(process.execPath, ['src/server.ts'], { env: { PATH: process.env['PATH'], ...engines.env, USERS_TABLE: '', CORS_ORIGIN: '*' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { said += chunk })
  const [code] = await once(child, 'exit')
  t.equal(code, 1)
  t.equal(said.trim().split('\n').length, 1, said)
  t.match(said, 'USERS_TABLE is missing')
  t.match(said, 'CORS_ORIGIN')
})
