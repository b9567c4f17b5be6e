import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { entryOf } from '../../../src/plugins/cache/entry.ts'
import { createRedisStore } from '../../../src/plugins/cache/redis-store.ts'
import { createBreaker } from '../../../src/shared/breaker.ts'
import { startTcpProxy } from '../../tcp-proxy.ts'
import { until } from '../../until.ts'
import { openRedis, rawClient, type Person } from './support.ts'

const TTL = 60_000

const redis = await openRedis(t)
const raw = rawClient(t, redis.url)

const ada = (version: number): Person => ({ id: 'ada', name: 'Ada', version })
/** An entry of a version, as an instance makes it whose clock is ahead by so many milliseconds. */
const entry = (version: number, ahead = 0) => entryOf(version, ada(version), TTL + ahead)

let keys = 0
const newKey = () => `key-${++keys}`

/** A store on a line that a test can cut, connected. */
async function open (t: Test) {
  const proxy = await startTcpProxy(t, redis.port)
  const lines: { code?: string, reason?: string, message: string }[] = []
  const log = { debug: (details: object, message: string) => { lines.push({ ...details, message }) } }
  const store = await createRedisStore(`redis://127.0.0.1:${proxy.port}`, TTL, log as never, createBreaker({ isFailure: () => true }))
  t.teardown(() => store.close())
  const unconnected = await store.get('x')
  const isBack = async () => await until(async () => await store.ping() !== undefined)
  await isBack()
  return { store, proxy, lines, unconnected, isBack }
}

/** How many scripts Redis has run. */
const scripts = async () => Number(/cmdstat_eval:calls=(\d+)/.exec(await raw.info('commandstats'))?.[1] ?? 0)

t.test('until the connection stands nobody waits for it, and then the store says what it has, and how fast', async t => {
  const { store, unconnected } = await open(t)
  t.same(unconnected, { isKnown: false })
  const key = newKey()
  t.same(await store.get(key), { isKnown: true })
  const text = entry(1)
  await store.put(key, 1, text, TTL)
  t.same(await store.get(key), { isKnown: true, entry: text })
  t.equal(await raw.get(key), text)
  await store.drop(key)
  t.equal(await raw.get(key), null)
  const start = performance.now()
  const took = await store.ping()
  t.ok(took! >= 0 && took! <= performance.now() - start, `${took} ms`)
})

t.test('an entry is put with one script, and over one that only claims to be newer with two', async t => {
  const { store } = await open(t)
  for (const [what, held, scriptsRun, isReplaced] of [
    ['nothing', undefined, 1, true],
    ['an older entry', entry(3), 1, true],
    ['the same entry', 'same', 1, true],
    ['another one of that version', `4@${Date.now() + TTL}:`, 2, true],
    ['a newer one', entry(5), 1, false],
    ['a newer one of an instance whose clock is ahead', entry(5, 4000), 1, false],
    ['a newer one that lives too long', entry(5, 8000), 1, true],
    ['a newer one that has expired', `5@${Date.now() - 1}:`, 1, true],
    ['one that is too far ahead', `999@${Date.now() + TTL}:`, 2, true],
    ['a newer one whose record is another', `5@${Date.now() + TTL}:${JSON.stringify(ada(4))}`, 2, true],
    ['no entry', 'hello', 1, true]
  ] as const) {
    for (const put of [store.put, store.fill]) {
      const key = newKey()
      const text = entry(4)
      if (held !== undefined) await raw.set(key, held === 'same' ? text : held)
      const before = await scripts()
      await put(key, 4, text, TTL)
      t.equal(await scripts() - before, scriptsRun, what)
      t.equal(await raw.get(key), isReplaced ? text : held, what)
    }
  }
})

t.test('a write that Redis missed is repeated with the next read, for as long as it would have lived', async t => {
  const { store, proxy, isBack } = await open(t)
  const key = newKey()
  await store.put(key, 1, entry(1), TTL)
  proxy.set('reset')
  const text = entry(2)
  await store.put(key, 2, text, TTL)
  t.same(await store.get(key), { isKnown: false })
  proxy.set('clear')
  await isBack()
  t.not(await raw.get(key), text)
  t.same(await store.get(key), { isKnown: false }, 'what other instances wrote is not known')
  t.equal(await raw.get(key), text)
  t.ok(await raw.pttl(key) <= TTL && await raw.pttl(key) > TTL - 20_000)
  t.same(await store.get(key), { isKnown: true, entry: text }, 'and it is repeated once')
})

t.test('of the writes that Redis missed the newest is repeated, whatever was written after it', async t => {
  for (const isBackBefore of [false, true]) {
    const { store, proxy, isBack } = await open(t)
    const key = newKey()
    const newest = entry(3)
    proxy.set('reset')
    await store.put(key, 3, newest, TTL)
    if (!isBackBefore) await store.put(key, 2, entry(2), TTL)
    proxy.set('clear')
    await isBack()
    if (isBackBefore) await store.put(key, 2, entry(2), TTL)
    t.same(await store.get(key), { isKnown: false })
    t.equal(await raw.get(key), newest)
    t.same(await store.get(key), { isKnown: true, entry: newest })
  }
})

t.test('a later write that arrives makes up for one that Redis missed, and so does the same one', async t => {
  for (const version of [2, 3]) {
    const { store, proxy, isBack } = await open(t)
    const key = newKey()
    proxy.set('reset')
    await store.put(key, 2, entry(2), TTL)
    proxy.set('clear')
    await isBack()
    const text = entry(version)
    await store.put(key, version, text, TTL)
    t.same(await store.get(key), { isKnown: true, entry: text }, String(version))
  }
})

t.test('a line that is cut is tried again after a tenth of a second, then after two, then after three, and logged', async t => {
  const { store, proxy, lines } = await open(t)
  const before = proxy.accepted
  const start = performance.now()
  proxy.set('reset')
  await until(() => proxy.accepted - before >= 3)
  const took = performance.now() - start
  t.ok(took > 500 && took < 2900, `${took} ms`)
  t.match(lines.findLast(({ message }) => message === 'cache: connection error'), { code: 'ECONNRESET' })
  lines.length = 0
  for (let i = 0; i < 20; i++) await store.get(newKey())
  t.equal(lines.filter(({ message }) => message === 'cache: command failed').length, 5, 'after five the others are not tried')
})

t.test('a command that Redis rejects is logged with the code of its error, and without what it holds', async t => {
  const { store, lines } = await open(t)
  const key = newKey()
  await raw.lpush(key, 'x')
  lines.length = 0
  t.same(await store.get(key), { isKnown: false })
  t.same(lines, [{ reason: 'WRONGTYPE', message: 'cache: command failed' }])
})

t.test('on a line that says nothing a read does not wait until an earlier one has ended', async t => {
  const { store, proxy, lines } = await open(t)
  proxy.set('silent')
  lines.length = 0
  const reads = []
  for (let i = 0; i < 3; i++) {
    reads.push(store.get(newKey()))
    await turn()
  }
  t.same(await Promise.all(reads), Array(3).fill({ isKnown: false }))
  // Its client would say "Command timed out", a while after it has sent the command.
  t.same(lines, Array(3).fill({ reason: 'Redis did not answer in time', message: 'cache: command failed' }))
})

t.test('a line that says nothing keeps nobody waiting, however many ask', async t => {
  const { store, proxy } = await open(t)
  proxy.set('silent')
  const start = performance.now()
  t.same(await Promise.all(Array.from({ length: 10 }, () => store.get(newKey()))), Array(10).fill({ isKnown: false }))
  t.equal(await store.ping(), undefined)
  t.ok(performance.now() - start < 2000)
})

t.test('a store that is closed leaves no connection', async t => {
  const connections = async () => String(await raw.client('LIST')).split('\n').length
  const before = await connections()
  const { store } = await open(t)
  t.equal(await connections(), before + 1)
  store.close()
  await until(async () => await connections() === before)
})
