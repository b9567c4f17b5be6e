import Fastify, { type onRequestAsyncHookHandler } from 'fastify'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { completeEnv } from '../../../local/env.ts'
import config, { loadConfig } from '../../../src/plugins/config.ts'
import correlation from '../../../src/plugins/correlation.ts'
import cors from '../../../src/plugins/cors.ts'
import errors from '../../../src/plugins/errors/index.ts'
import loadShedding, { type LoadLimits } from '../../../src/plugins/load-shedding.ts'
import { createLogger } from '../../../src/plugins/logging.ts'
import metrics from '../../../src/plugins/metrics.ts'
import { until } from '../../until.ts'

/** Time that passes when the test says so, for what a plugin does by an interval. */
function holdTime (t: Test) {
  let now = 0
  const timers: { every: number, run: () => void }[] = []
  const own = { now: performance.now, setInterval: globalThis.setInterval, clearInterval: globalThis.clearInterval }
  performance.now = () => now
  globalThis.setInterval = ((run: () => void, every: number) => {
    const timer = { every, run, unref: () => timer }
    timers.push(timer)
    return timer
  }) as never
  globalThis.clearInterval = ((timer: typeof timers[number]) => { timers.splice(timers.indexOf(timer), 1) }) as never
  const release = () => {
    performance.now = own.now
    globalThis.setInterval = own.setInterval
    globalThis.clearInterval = own.clearInterval
  }
  t.teardown(release)
  return {
    timers,
    /** Lets time pass, after which the intervals of a length run once: late, if they are shorter. */
    pass (ms: number, every: number) {
      now += ms
      for (const timer of timers.filter(timer => timer.every === every)) timer.run()
    }
  }
}

/** The plugin alone, on a server that listens, with a route that answers when the test says so. */
async function serve (t: Test, limits: LoadLimits | undefined, { before, after }: { before?: onRequestAsyncHookHandler, after?: onRequestAsyncHookHandler } = {}) {
  const settings = loadConfig(completeEnv({ JWT_SECRET: 'a'.repeat(64), LOG_LEVEL: 'warn' }))
  const logLines: Record<string, unknown>[] = []
  const app = Fastify({ loggerInstance: createLogger(settings, { write: line => { logLines.push(JSON.parse(line) as Record<string, unknown>) } }) })
  t.teardown(() => app.close())
  await app.register(config, { config: settings })
  await app.register(correlation)
  await app.register(errors)
  await app.register(metrics)
  await app.register(cors)
  if (before !== undefined) app.addHook('onRequest', before)
  await app.register(loadShedding, { limits })
  if (after !== undefined) app.addHook('onRequest', after)
  const waiting: (() => void)[] = []
  app.get('/slow', async () => { await new Promise<void>(resolve => { waiting.push(resolve) }); return {} })
  app.get('/fast', async () => ({}))
  app.post('/body', async () => ({}))
  app.get('/alive', { config: { shed: false } }, async () => ({}))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const get = async (path: string) => (await app.inject(path)).statusCode
  /** Starts requests that run until `release`. */
  const run = async (count: number) => {
    const answers = Array.from({ length: count }, () => get('/slow'))
    await until(() => waiting.length === count)
    return async () => {
      for (const end of waiting.splice(0)) end()
      return await Promise.all(answers)
    }
  }
  return { app, port, logLines, get, run }
}

const LOOK = 50
const COUNT = 1000

t.test('an event loop that is late in several turns, for more than a second, rejects requests while as many run as may', async t => {
  const time = holdTime(t)
  time.pass(100_000, LOOK)
  const { get, run } = await serve(t, { maxRunning: 100, maxLate: 100, maxRunningLate: 1 })
  const look = (ms: number) => time.pass(ms, LOOK)
  look(50)
  t.equal(await get('/fast'), 200, 'the time before it listens is no lateness')
  const release = await run(1)
  const inTime = Array<number>(65).fill(150)
  const steps: [looks: number[], status: number, what: string][] = [
    [[5000], 200, 'one pause, however long'],
    [[50, 200, 200], 200, 'two turns of less than a second'],
    [[50, 151, 849], 200, 'exactly a second'],
    [[50, 150, 150, 150, 150, 150, 150, 150, 150], 200, 'as late as may be'],
    [[50, 151, 850], 503, 'a millisecond more than a second'],
    [[50], 200, 'in time again'],
    [[151], 503, 'the next lateness within ten seconds is believed at once'],
    [[...inTime, 249], 503, 'also in the last millisecond of them, and they begin anew with it'],
    [[...inTime, 250], 200, 'after them it may be one pause again']
  ]
  for (const [looks, status, what] of steps) {
    for (const ms of looks) look(ms)
    t.equal(await get('/fast'), status, what)
    t.equal(await get('/alive'), 200)
  }
  look(200)
  look(900)
  t.equal(await get('/fast'), 503)
  t.same(await release(), [200])
  t.equal(await get('/fast'), 200, 'as nothing runs that could be the cause')
})

t.test('what was rejected is counted once a second, with how many requests run, and only if there was something', async t => {
  const time = holdTime(t)
  const { app, logLines, get, run } = await serve(t, { maxRunning: 2, maxLate: Infinity, maxRunningLate: 0 })
  const logged = () => logLines.splice(0).map(({ level, RequestsShed, shed, running }) => [level, RequestsShed ?? shed, running].filter(value => value !== undefined))
  const release = await run(2)
  for (let i = 0; i < 3; i++) t.equal(await get('/fast'), 503, 'and none that is rejected makes place for another')
  t.equal(await get('/nowhere'), 503)
  t.equal(await get('/alive'), 200)
  t.equal(await get('/fast'), 503, 'nor one that is answered all the same')
  t.same(logLines, [])
  time.pass(COUNT, COUNT)
  t.same(logged(), [['info', 5], ['warn', 5, 2]])
  time.pass(COUNT, COUNT)
  t.same(logLines, [])
  t.same(await release(), [200, 200])
  const again = await run(2)
  t.equal(await get('/fast'), 503)
  time.pass(COUNT, COUNT)
  t.same(logged(), [['info', 1], ['warn', 1, 2]])
  await again()
  t.equal(await get('/fast'), 200)
  await app.close()
  t.same(time.timers, [], 'nothing goes on after its end')
})

t.test('a request that is rejected says when to come again, and is no failure in the log', async t => {
  const { app, logLines, run } = await serve(t, { maxRunning: 1, maxLate: Infinity, maxRunningLate: 0 })
  const release = await run(1)
  const answer = await app.inject('/fast')
  t.equal(answer.headers['retry-after'], '1')
  t.match(answer.json(), { status: 503, code: 'OVERLOADED' })
  t.same(logLines.filter(({ level }) => level === 'error'), [])
  await release()
})

/** Sends a request, all of it or only a part of its body. */
function send (port: number, path: 'GET /fast?gone' | 'POST /body') {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(`${path} HTTP/1.1\r\nhost: x\r\n${path === 'POST /body' ? 'content-type: application/json\r\ncontent-length: 100\r\n\r\n{' : '\r\n'}`)
  return socket
}

t.test('a client that leaves takes no place, whether that is seen before its request is looked at, while a hook works for it, or while it sends', async t => {
  for (const where of ['before', 'after', 'sending'] as const) {
    let arrived = 0
    let gone = 0
    const { port, get, run } = await serve(t, { maxRunning: 1, maxLate: Infinity, maxRunningLate: 0 }, {
      [where === 'before' ? 'before' : 'after']: (async ({ url }, reply) => {
        if (url !== '/body' && url !== '/fast?gone') return
        arrived++
        if (where !== 'sending') await once(reply.raw, 'close')
        gone++
      }) satisfies onRequestAsyncHookHandler
    })
    for (const path of ['POST /body', 'GET /fast?gone', 'POST /body'] as const) {
      if (where === 'sending' && path === 'GET /fast?gone') continue
      const socket = send(port, path)
      const seen = arrived
      await until(() => arrived === seen + 1)
      t.equal(await get('/fast'), where === 'before' ? 200 : 503, `${where}: ${path}`)
      const left = gone
      socket.destroy()
      if (where !== 'sending') await until(() => gone === left + 1)
      await until(async () => await get('/fast') === 200)
    }
    const release = await run(1)
    t.equal(await get('/fast'), 503, `${where}: and makes no place that was not taken`)
    await release()
  }
})

t.test('without limits there is no plugin', async t => {
  const time = holdTime(t)
  const { app, get, run } = await serve(t, undefined)
  const release = await run(5)
  t.equal(await get('/fast'), 200)
  t.same(time.timers, [])
  t.notOk(app.hasRequestDecorator('load'))
  await release()
})
