import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { App } from '../../src/app.ts'
import breakers from '../../src/plugins/breakers.ts'
import metrics from '../../src/plugins/metrics.ts'

t.test('each change of a breaker is logged, shown and counted, and its state is known by its dependency', async t => {
  const logLines: Record<string, unknown>[] = []
  const shown: unknown[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { logLines.push(JSON.parse(line) as Record<string, unknown>) } } } })
  t.teardown(() => app.close())
  app.decorate('config', {} as App['config'])
  await app.register(fp(async () => {}, { name: 'config' }))
  await app.register(metrics, { metrics: { scraped: { count () {}, observe () {}, show (...value) { shown.push(value) } } } })
  await app.register(breakers)
  t.equal(app.breakers.stateOf('mail'), undefined)

  let now = 0
  const counted: string[] = []
  const add = (dependency: string) => app.breakers.add(dependency, { isFailure: error => error !== 'refused', now: () => now, onOpen: () => counted.push(`${dependency} opened`), onClose: () => counted.push(`${dependency} closed`) })
  const mail = add('mail')
  add('sqs')
  const state = (dependency: string, value: number) => ['BreakerOpen', value, { dependency }]
  t.same(shown, [state('mail', 0), state('sqs', 0)], 'a dependency is there before anything is wrong with it')

  /** what has changed since the last time */
  const changes = () => {
    const changed = { lines: logLines.filter(line => 'breaker' in line).map(({ level, dependency, breaker, msg }) => [level, dependency, breaker, msg]), shown: [...shown], counted: [...counted] }
    logLines.length = shown.length = counted.length = 0
    return changed
  }
  changes()
  const [WARN, INFO, DEBUG] = [40, 30, 20]
  const OPEN = [WARN, 'mail', 'open', 'a dependency does not answer; it is tried once a second']
  const TRYING = [DEBUG, 'mail', 'half-open', 'trying whether a dependency answers again']
  const fail = (error: unknown = 'silence') => mail.run(async () => { throw error }).catch(() => {})

  for (let i = 0; i < 20; i++) await fail('refused')
  for (let i = 0; i < 4; i++) await fail()
  t.same(changes(), { lines: [], shown: [], counted: [] })
  await fail()
  t.same(changes(), { lines: [OPEN], shown: [state('mail', 1)], counted: ['mail opened'] })
  t.same([app.breakers.stateOf('mail'), app.breakers.stateOf('sqs')], ['open', 'closed'])

  now += 1000
  const hung = Promise.withResolvers<void>()
  const trial = mail.run(() => hung.promise).catch(() => {})
  t.equal(app.breakers.stateOf('mail'), 'half-open')
  t.same(changes(), { lines: [TRYING], shown: [state('mail', 1)], counted: [] })
  hung.reject(new Error('silence'))
  await trial
  t.same(changes(), { lines: [OPEN], shown: [state('mail', 1)], counted: ['mail opened'] })

  now += 1000
  await mail.run(async () => {})
  t.equal(app.breakers.stateOf('mail'), 'closed')
  t.same(changes(), { lines: [TRYING, [INFO, 'mail', 'closed', 'a dependency answers again']], shown: [state('mail', 1), state('mail', 0)], counted: ['mail closed'] })
})

t.test('it does not start without what it needs', async t => {
  await t.rejects(async () => await Fastify().register(breakers), { message: /The dependency 'metrics' of plugin 'breakers' is not registered/ })
})
