import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { startEngines, type Test } from '../engines.ts'
import { report, SIZE, workload } from '../promise.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)

/** The plain server as a process of its own. */
async function startServer (t: Test, { args = [] as string[] } = {}) {
  const port = await freePort()
  const child = spawn(process.execPath, [...args, 'src/server.ts'], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...engines.env, LOG_LEVEL: 'error', PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stdout.on('data', text => { log += String(text) })
  const url = `http://127.0.0.1:${port}`
  await until(() => fetch(`${url}/health/live`, { headers: { connection: 'close' } }).then(answer => answer.ok, () => false), { timeoutMs: 30_000 })
  return { child, port, url, lines: () => log.trim().split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>) }
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
  const rate = workload({ short: 100, full: 500 })
  const statuses: Record<string, number> = {}
  let readyStatus = 200
  const requests: Promise<void>[] = []

  // What a load balancer does: it asks for readiness, and sends requests for as long as that is green.
  const balancer = (async () => {
    while (readyStatus === 200) {
      readyStatus = await get(`${url}/health/ready`, agent).catch(() => 0)
      await sleep(100)
    }
  })()
  // At a steady rate, whether or not the answers keep up.
  const began = performance.now()
  const clients = (async () => {
    while (readyStatus === 200) {
      for (const due = (performance.now() - began) / 1000 * rate; requests.length < due;) {
        requests.push(get(`${url}/.well-known/jwks.json`, agent).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
          .then(outcome => { statuses[outcome] = (statuses[outcome] ?? 0) + 1 }))
      }
      await sleep(5)
    }
    return requests.length / (performance.now() - began) * 1000
  })()
  await until(() => requests.length > workload({ short: 100, full: 5000 }), { timeoutMs: 60_000 })
  const stoppedAt = performance.now()
  child.kill('SIGTERM')
  const [reached] = await Promise.all([clients, balancer])
  await Promise.all(requests)
  t.equal(readyStatus, 503, 'readiness is red while the server still answers')
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  const took = performance.now() - stoppedAt
  const { 200: answered = 0, ...others } = statuses
  t.same(others, {})
  t.equal(code, 0)
  report(t, {
    promise: 19,
    figure: `${requests.length} requests at ${Math.round(reached)} a second, ${requests.length - answered} dropped, readiness ${readyStatus} first, exit code ${code} after ${(took / 1000).toFixed(1)} s`,
    holds: answered === requests.length && reached > rate * 0.9 && readyStatus === 503 && code === 0 && took <= 10_000
  })
})

t.test('an error outside of any request is one line of the log, the requests that run are answered, and the exit code is 1', async (t) => {
  for (const [kind, planted] of [['an exception', 'throw new Error("planted")'], ['a rejection', 'void Promise.reject(new Error("planted"))']] as const) {
    const { child, url, lines } = await startServer(t, { args: ['--import', `data:text/javascript,process.on('SIGUSR2', () => { ${planted} })`] })
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    t.equal(await get(`${url}/health/live`, agent), 200)
    const exit = once(child, 'exit')
    child.kill('SIGUSR2')
    await until(async () => await get(`${url}/health/ready`, agent) === 503)
    t.equal(await get(`${url}/.well-known/jwks.json`, agent), 200, `${kind}: it still answers`)
    t.equal((await exit)[0], 1, kind)
    t.match(lines(), [{ level: 'fatal', msg: 'an error outside of any request; stopping', err: { type: 'Error', message: 'planted', stack: String } }])
  }
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
  const drips = Array.from({ length: workload({ short: 100, full: 500 }) }, () => {
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
  const took = performance.now() - start
  report(t, {
    promise: 23,
    part: 'clients that drip bytes',
    figure: `${closed} closed after ${(took / 1000).toFixed(1)} s, ${answered} of them with an answer; ${served.length} other requests served meanwhile, the slowest in ${Math.round(Math.max(...served))} ms`,
    holds: took <= 12_000
  })
})

t.test('a body of one byte more than the limit is 413, and one that nests as deep as it can is 400 at once', async (t) => {
  const { url } = await startServer(t)
  const post = async (body: string) => {
    const start = performance.now()
    const answer = await fetch(`${url}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    await answer.text()
    return { status: answer.status, ms: performance.now() - start }
  }
  const LIMIT = 64 * 1024
  // Valid, but for its length: blanks are added.
  const valid = '{"email":"limit@example.com","name":"Limit"}'
  t.equal((await post(valid.padEnd(LIMIT))).status, 202, 'a body at the limit')
  t.equal((await post(valid.padEnd(LIMIT + 1))).status, 413)
  // Nested 100,000 deep, a body is longer than the limit. The deepest that fit are closed, or never closed.
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const kinds = [nested(LIMIT / 2), '['.repeat(LIMIT), `{"email":${nested(LIMIT / 2 - 10)}}`, '{"a":'.repeat(LIMIT / 6)]
  t.equal((await post(nested(100_000))).status, 413)
  const times: number[] = []
  for (let round = 0; round < workload({ short: 3, full: 100 }); round++) {
    for (const body of kinds) {
      const { status, ms } = await post(body)
      t.equal(status, 400)
      times.push(ms)
    }
  }
  times.sort((a, b) => a - b)
  // On a busy machine, the slowest is the machine's.
  const [median, slow] = [times[Math.floor(times.length / 2)]!, times[Math.floor(times.length * 0.99)]!]
  report(t, {
    promise: 23,
    part: 'bodies',
    figure: `limit + 1 byte: 413. Depth 100,000 is over the limit: 413; ${times.length} bodies of the greatest depth that fits (${LIMIT / 2}): 400 after ${median.toFixed(1)} ms (median) and ${slow.toFixed(1)} ms (p99)`,
    holds: (SIZE === 'short' ? median : slow) < 50
  })
})

t.test('a server has 4,096 connections at most, and serves those that it has', async (t) => {
  const { port, url } = await startServer(t)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  t.equal(await get(`${url}/health/live`, agent), 200)
  // On a busy machine others are closed meanwhile, because they send nothing: those get an answer, 408.
  let closed = 0
  const sockets: Socket[] = []
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  // Not all at once: the system's queue of new connections is shorter.
  while (sockets.length < 4200) {
    await Promise.all(Array.from({ length: 100 }, async () => {
      const socket = connect(port, '127.0.0.1').on('error', () => {}).on('close', () => { if (socket.bytesRead === 0) closed++ }).resume()
      sockets.push(socket)
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
    }))
  }
  await until(() => closed >= 4200 + 1 - 4096, { timeoutMs: 30_000 })
  t.equal(await get(`${url}/health/live`, agent), 200, 'on the connection that was open')
})

t.test('a configuration that is wrong does not start the server, and says so in one line', async (t) => {
  const child = spawn(process.execPath, ['src/server.ts'], { env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...engines.env, USERS_TABLE: '', CORS_ORIGIN: '*' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { said += chunk })
  const [code] = await once(child, 'exit')
  t.equal(code, 1)
  t.equal(said.trim().split('\n').length, 1, said)
  t.match(said, 'USERS_TABLE is missing')
  t.match(said, 'CORS_ORIGIN')
})
