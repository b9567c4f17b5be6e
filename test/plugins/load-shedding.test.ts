import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { LoadLimits } from '../../src/plugins/load-shedding.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)

/** An app that listens, with a route that answers when the test says so. */
async function listen (t: Test, loadLimits?: LoadLimits) {
  const waiting: (() => void)[] = []
  const app = await buildTestApp(t, engines, {
    loadLimits,
    beforeReady (app) {
      for (const url of ['/slow', '/v1/slow']) app.get(url, { config: { limit: false } }, async () => { await new Promise<void>(resolve => { waiting.push(resolve) }); return {} })
    }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
    return { status: answer.status, headers: answer.headers, body: await answer.json() as Record<string, unknown> }
  }
  const release = () => { for (const end of waiting.splice(0)) end() }
  t.teardown(release)
  return { app, port, get, waiting, release }
}

const counted = (app: TestApp) => app.logLines.reduce((sum, line) => sum + Number(line['RequestsShed'] ?? 0), 0)

t.test('a server at its limit rejects further requests at once, in the form of their version, and stays alive', async t => {
  const { app, get, waiting, release } = await listen(t, { maxRunning: 3, maxLate: Infinity, maxRunningLate: 0 })
  const running = Array.from({ length: 3 }, () => get('/slow'))
  await until(() => waiting.length === 3)

  const rejected = await get('/slow')
  t.equal(rejected.status, 503)
  t.equal(rejected.headers.get('retry-after'), '1')
  t.match(rejected.headers.get('content-type'), 'application/problem+json')
  t.ok(rejected.headers.get('x-correlation-id'))
  t.equal(rejected.headers.get('x-content-type-options'), 'nosniff')
  t.match(rejected.body, { status: 503, code: 'OVERLOADED' })
  const v1 = await get('/v1/slow')
  t.match(v1, { status: 503, body: { success: false, error: 'Too many requests are running; try again after the time in Retry-After' } })
  t.ok(v1.headers.get('deprecation'))
  t.equal((await get('/no-such-path')).status, 503, 'before anything is looked up')
  for (const path of ['/health/live', '/health/ready', '/v1/health']) t.equal((await get(path)).status, 200, path)

  release()
  t.same((await Promise.all(running)).map(({ status }) => status), [200, 200, 200])
  t.equal((await get('/.well-known/jwks.json')).status, 200, 'and goes on once they have ended')
  await until(() => counted(app) === 3)
  t.equal(app.logLines.filter(line => line['level'] === 'error').length, 0, 'it is no failure of each request')
})

t.test('the work for clients that have left counts until it ends', async t => {
  const { port, get, waiting, release } = await listen(t, { maxRunning: 2, maxLate: Infinity, maxRunningLate: 0 })
  const keys = async () => (await get('/.well-known/jwks.json')).status
  for (let round = 0; round < 5; round++) {
    const sockets = Array.from({ length: 2 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write('GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await until(() => waiting.length === 2)
    await Promise.all(sockets.map(async socket => { socket.resetAndDestroy(); await once(socket, 'close') }))
    t.equal(await keys(), 503)
    release()
    await until(async () => await keys() === 200)
  }
})

t.test('clients that leave while they send make place for others', async t => {
  const { app, port, get } = await listen(t, { maxRunning: 2, maxLate: Infinity, maxRunningLate: 0 })
  for (let round = 0; round < 5; round++) {
    let arrived = 0
    app.server.on('request', () => { arrived++ })
    const sockets = Array.from({ length: 2 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write('POST /v2/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
    await until(() => arrived === 2)
    t.equal((await get('/.well-known/jwks.json')).status, 503)
    for (const socket of sockets) socket.resetAndDestroy()
    await until(async () => (await get('/.well-known/jwks.json')).status === 200)
  }
})

/** Keeps the event loop busy, turn by turn, for as long as it is asked to. */
function keepBusy (turnMs: number) {
  const busy = { turns: 0, stop: false }
  const turn = () => {
    const end = performance.now() + turnMs
    while (performance.now() < end);
    busy.turns++
    if (!busy.stop) setTimeout(turn, 0)
  }
  setTimeout(turn, 0)
  return busy
}

t.test('a server whose event loop stays late rejects requests, but not after one pause, nor while few run', async t => {
  const { get, waiting, release } = await listen(t, { maxRunning: 1000, maxLate: 100, maxRunningLate: 3 })
  const keys = async () => (await get('/.well-known/jwks.json')).status
  const running = Array.from({ length: 3 }, () => get('/slow'))
  await until(() => waiting.length === 3)
  const pause = keepBusy(1500)
  pause.stop = true
  await until(() => pause.turns === 1)
  t.equal(await keys(), 200, 'after one pause, however long')
  // In time for longer than a look at it takes: the next overload begins anew.
  await until(async () => { const start = performance.now(); await sleep(60); return performance.now() - start < 100 })

  const began = performance.now()
  const busy = keepBusy(200)
  t.teardown(() => { busy.stop = true })
  const seen: number[] = []
  while (!seen.includes(503) && busy.turns < 50) seen.push(await keys())
  const seconds = (performance.now() - began) / 1000
  t.ok(busy.turns > 1 && seconds > 0.9, `a second of it at least, in several turns: ${seconds.toFixed(1)} s, ${busy.turns} turns`)
  t.equal(seen.at(-1), 503)
  t.equal((await get('/health/live')).status, 200, 'it is alive')
  release()
  await Promise.all(running)
  t.equal(await keys(), 200, 'what keeps it busy is not the requests')
  const again = Array.from({ length: 3 }, () => get('/slow'))
  await until(() => waiting.length === 3)
  t.equal(await keys(), 503)
  busy.stop = true
  await until(async () => await keys() === 200)
  release()
  await Promise.all(again)
})

t.test('without a limit, as on Lambda, nothing is rejected', async t => {
  const { get, waiting, release } = await listen(t)
  const running = Array.from({ length: 50 }, () => get('/slow'))
  await until(() => waiting.length === 50)
  release()
  t.ok((await Promise.all(running)).every(({ status }) => status === 200))
})
