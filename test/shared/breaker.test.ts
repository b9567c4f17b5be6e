import t from 'tap'
import { BreakerOpen, createBreaker, type BreakerOptions, type BreakerState } from '../../src/shared/breaker.ts'

const down = new Error('down')
const rejected = new Error('rejected')

function create (options: Partial<BreakerOptions> = {}) {
  const clock = { now: 1_000_000 }
  const changes: BreakerState[] = []
  let calls = 0
  const breaker = createBreaker({ isFailure: error => error === down, onChange: state => changes.push(state), now: () => clock.now, ...options })
  const run = (outcome: () => Promise<unknown> = async () => 'answer') => breaker.run(() => { calls++; return outcome() }).then(String, (error: Error) => error.name === 'BreakerOpen' ? 'open' : error.message)
  return { breaker, clock, changes, run, fail: () => run(async () => { throw down }), reject: () => run(async () => { throw rejected }), get calls () { return calls } }
}

async function openOf (options: Partial<BreakerOptions> = {}) {
  const world = create(options)
  for (let i = 0; i < 5; i++) await world.fail()
  return world
}

t.test('five failures in a row open it, and then nothing is called', async t => {
  const world = create()
  for (let i = 0; i < 4; i++) t.equal(await world.fail(), 'down')
  t.equal(world.breaker.state, 'closed')
  t.equal(await world.fail(), 'down')
  t.equal(world.breaker.state, 'open')
  for (let i = 0; i < 10; i++) t.equal(await world.run(), 'open')
  await t.rejects(world.breaker.run(async () => {}), new BreakerOpen('the dependency did not answer; it is tried once a second'))
  t.equal(world.calls, 5)
  t.same(world.changes, ['open'])
})

t.test('an answer between failures, or a rejection, starts the count again', async t => {
  for (const answer of ['run', 'reject'] as const) {
    const world = create()
    for (let i = 0; i < 12; i++) {
      for (let failures = 0; failures < 4; failures++) await world.fail()
      await world[answer]()
    }
    t.equal(world.breaker.state, 'closed')
  }
})

t.test('a hundred calls that fail together open it once', async t => {
  const world = create()
  await Promise.all(Array.from({ length: 100 }, () => world.fail()))
  t.same(world.changes, ['open'])
})

t.test('one call at a time tries again, once a second, until one is answered', async t => {
  const world = await openOf()
  for (let second = 0; second < 3; second++) {
    world.clock.now += 999
    t.equal(await world.run(), 'open')
    world.clock.now += 1
    const { promise, reject } = Promise.withResolvers<string>()
    const trial = world.run(() => promise)
    t.equal(world.breaker.state, 'half-open')
    t.equal(await world.run(), 'open', 'no second trial')
    reject(down)
    t.equal(await trial, 'down')
    t.equal(world.breaker.state, 'open')
  }
  t.equal(world.calls, 5 + 3)
  world.clock.now += 1000
  t.equal(await world.run(), 'answer')
  t.equal(world.breaker.state, 'closed')
  t.same(world.changes, ['open', 'half-open', 'open', 'half-open', 'open', 'half-open', 'open', 'half-open', 'closed'])
  for (let i = 0; i < 4; i++) await world.fail()
  t.equal(world.breaker.state, 'closed', 'the count starts again')
})

t.test('a trial that is rejected by an answer closes it', async t => {
  const world = await openOf()
  world.clock.now += 1000
  t.equal(await world.reject(), 'rejected')
  t.equal(world.breaker.state, 'closed')
})

t.test('callers may wait for the trial, and then share its outcome', async t => {
  for (const [fails, outcome] of [[true, 'open'], [false, 'answer']] as const) {
    const world = await openOf({ awaitsTrial: true })
    t.equal(await world.run(), 'open', 'there is nothing to wait for')
    world.clock.now += 1000
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const trial = world.run(() => promise)
    const waiting = Array.from({ length: 9 }, () => world.run())
    await new Promise(resolve => setImmediate(resolve))
    t.equal(world.calls, 6)
    if (fails) reject(down)
    else resolve('answer')
    t.equal(await trial, fails ? 'down' : 'answer')
    t.same(await Promise.all(waiting), Array.from({ length: 9 }, () => outcome))
  }
})

t.test('calls from before it opened change nothing when they end after that', async t => {
  const world = create()
  const late = Promise.withResolvers<string>()
  const lateFailure = Promise.withResolvers<string>()
  const first = world.run(() => late.promise)
  const second = world.run(() => lateFailure.promise)
  for (let i = 0; i < 5; i++) await world.fail()
  late.resolve('late')
  lateFailure.reject(down)
  await Promise.all([first, second])
  t.equal(world.breaker.state, 'open')
  t.same(world.changes, ['open'])
})

t.test('a clock that was set back does not keep it open', async t => {
  const world = await openOf()
  world.clock.now -= 3_600_000
  t.equal(await world.run(), 'answer')
  t.equal(world.breaker.state, 'closed')
})

t.test('a call that is not made is reported by its own error', async t => {
  const { breaker } = await openOf()
  await t.rejects(breaker.run(async () => {}), BreakerOpen)
})
