import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { serverOptions } from '../../src/server/options.ts'
import { createStop, type StopTimes } from '../../src/server/stop.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)
/** Long where the machine may be busy; what a test waits for is shorter there. */
const TIMES: StopTimes = { drain: { least: 100, most: 5000 }, lastRequests: 5000, grace: 20_000 }

/** The app on a port, and its stop, which says with which code and after how many milliseconds the process would have ended. */
async function start (t: Test, { times = {} as Partial<StopTimes>, last = async () => {}, beforeReady = (_app: object) => {} } = {}) {
  const app = await buildTestApp(t, engines, { server: serverOptions({}), beforeReady })
  const exits: { code: number, ms: number }[] = []
  let began = NaN
  const { onSignal, onError } = createStop(app, {
    turnUnready () { app.health.drain() },
    last,
    exit: code => { exits.push({ code, ms: performance.now() - began }) },
    times: { ...TIMES, ...times }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => { app.server.closeAllConnections() })
  return {
    app,
    exits,
    onError,
    onSignal (signal: NodeJS.Signals) { began = performance.now(); onSignal(signal) },
    open: () => open((app.server.address() as AddressInfo).port),
    exit: async () => await until(() => exits[0])
  }
}

const REQUEST = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
const HALF = 'POST /v2/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{'

/** A connection that is used again and again. */
async function open (port: number) {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  let got = ''
  socket.setEncoding('latin1').on('data', text => { got += String(text) })
  const say = async (bytes: string, answers = 1) => {
    got = ''
    socket.write(bytes)
    return await until(() => got.split(/HTTP\/1\.1 \d/).length > answers && /\}$/.test(got) && got)
  }
  return Object.assign(socket, { say })
}

const lines = (app: TestApp) => app.logLines.filter(({ msg }) => String(msg).includes('stopping'))

t.test('a server that is asked to stop turns unready, answers for a while, closes each connection with its answer, and ends', async t => {
  const order: string[] = []
  const { app, exits, exit, onSignal, open } = await start(t, {
    last: async () => { order.push(app.server.listening ? 'before the server' : 'after the server', String(exits.length)) }
  })
  const [used, late] = [await open(), await open()]
  t.match(await used.say(REQUEST('/health/ready')), /^HTTP\/1\.1 200 OK\r\n(?![^]*^connection: close)/im, 'before, its connection is kept')
  onSignal('SIGTERM')
  t.match(await used.say(REQUEST('/health/ready')), /^HTTP\/1\.1 503 [^]*^connection: close\r\n/im)
  t.match(await late.say(REQUEST('/.well-known/jwks.json')), /^HTTP\/1\.1 200 [^]*^connection: close\r\n/im)
  const { code, ms } = await exit()
  t.equal(code, 0)
  t.ok(ms > TIMES.drain.least && ms < TIMES.drain.most, `${ms} ms: as soon as no client is connected`)
  t.same(order, ['after the server', '0'])
  t.match(lines(app), [{ msg: 'stopping', signal: 'SIGTERM' }])
})

t.test('a client that keeps its connection is waited for, but not for long', async t => {
  const { exit, onSignal, open } = await start(t, { times: { drain: { least: 100, most: 500 } } })
  const used = await open()
  await used.say(REQUEST('/health/live'))
  onSignal('SIGTERM')
  const { code, ms } = await exit()
  t.equal(code, 0)
  t.ok(ms > 500, `${ms} ms`)
  await until(() => used.destroyed)
})

t.test('somebody who stops it at a terminal waits for no connection; what runs has its answer, and what comes with it', async t => {
  const { app, exit, exits, onSignal, open } = await start(t)
  const [running, idle, silent, half] = [await open(), await open(), await open(), await open()]
  await idle.say(REQUEST('/health/live'))
  half.write('GET /health/live HTTP/1.1\r\nHos')
  const arrived = once(app.server, 'request')
  running.write(HALF)
  await arrived
  onSignal('SIGINT')
  await until(() => !app.server.listening && [idle, silent, half].every(({ destroyed }) => destroyed))
  t.same(exits, [])
  t.match(await running.say(`}${REQUEST('/.well-known/jwks.json')}`, 2), /^HTTP\/1\.1 400 [^]*HTTP\/1\.1 200 [^]*^connection: close\r\n/im)
  const { code, ms } = await exit()
  t.equal(code, 0)
  t.ok(ms < TIMES.lastRequests, `${ms} ms`)
})

t.test('a request that does not end is cut off', async t => {
  const { app, exit, onSignal, open } = await start(t, { times: { lastRequests: 300 } })
  const running = await open()
  const arrived = once(app.server, 'request')
  running.write(HALF)
  await arrived
  onSignal('SIGINT')
  const { code, ms } = await exit()
  t.equal(code, 0)
  t.ok(ms > 250, `${ms} ms`)
  await until(() => running.destroyed)
})

t.test('a second signal ends the process at once', async t => {
  const { exits, onSignal } = await start(t)
  onSignal('SIGTERM')
  t.same(exits, [])
  onSignal('SIGINT')
  t.match(exits, [{ code: 1 }])
})

t.test('an error outside of any request is noted, and ends the process like a signal, with another code', async t => {
  const { app, exit, onError } = await start(t)
  onError(new Error('planted'))
  t.equal((await exit()).code, 1)
  t.match(lines(app), [{ level: 'fatal', msg: 'an error outside of any request; stopping', err: { message: 'planted' } }, { msg: 'stopping', signal: 'SIGTERM' }])
})

t.test('one in a server that is stopping changes the code, and does not hurry', async t => {
  const { app, exits, exit, onSignal, onError } = await start(t)
  onSignal('SIGTERM')
  onError(new Error('planted'))
  t.same(exits, [])
  const { code, ms } = await exit()
  t.equal(code, 1)
  t.ok(ms > TIMES.drain.least, `${ms} ms`)
  t.match(lines(app), [{ msg: 'stopping' }, { level: 'fatal' }])
  t.equal(lines(app).length, 2)
})

t.test('what cannot be closed is noted, and ends the process', async t => {
  const { app, exits, exit, onSignal } = await start(t, { last: async () => { throw new Error('planted') } })
  onSignal('SIGINT')
  t.equal((await exit()).code, 1)
  t.equal(exits.length, 1)
  t.match(lines(app).at(-1), { level: 'fatal', msg: 'stopping failed', err: { message: 'planted' } })
})

t.test('what does not end is left behind', async t => {
  const { exit, onSignal } = await start(t, { last: () => new Promise(() => {}), times: { grace: 300 } })
  onSignal('SIGINT')
  const { code, ms } = await exit()
  t.equal(code, 1)
  t.ok(ms > 250, `${ms} ms`)
})
