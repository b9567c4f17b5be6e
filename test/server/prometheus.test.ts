import t from 'tap'
import { createPrometheus } from '../../src/server/prometheus.ts'
import { parseExposition, type Sample } from './exposition.ts'

const OWN = { service: 'user-service', environment: 'staging' }
const KNOWN = { Orders: ['count', 'orders'], Reads: ['frequent', 'reads, as \\n'], RequestSeconds: ['seconds', 'time of a request'], LagSeconds: ['seconds', 'time in a queue'], Open: ['state', 'whether it is open'] } as const
/** The names of metrics are known to the compiler from what modules declare; these are the test's own. */
type Any = never

function build (t: { teardown (after: () => void): void }) {
  const prometheus = createPrometheus(OWN, KNOWN)
  t.teardown(() => prometheus.close())
  const samples = () => parseExposition(prometheus.text())
  return { ...prometheus, samples, find: (name: string, labels: Record<string, string> = {}) => samples().filter(sample => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)) }
}
const isOwn = ({ name }: Sample) => !/^(?:process|nodejs)_/.test(name)

t.test('counts begin at 0 and add up; each metric is explained, with the unit that its name has', async t => {
  const { count, observe, show, text, samples } = build(t)
  t.same(samples().filter(isOwn).map(({ name, type, value, labels }) => [name, type, value, labels]), [['Orders', 'counter', 0, OWN], ['Reads', 'counter', 0, OWN]])
  count('Orders' as Any, 2)
  count('Orders' as Any, 3)
  count('Other' as Any, 1)
  show('Open' as Any, 1, { dependency: 'orders' })
  show('Open' as Any, 0, { dependency: 'orders' })
  show('Open' as Any, 1, { dependency: 'mail' })
  observe('LagSeconds' as Any, 1, { source: 'queue' })
  t.same(samples().filter(isOwn).filter(({ type }) => type !== 'histogram').map(({ name, type, value, labels }) => [name, type, value, labels]), [
    ['Orders', 'counter', 5, OWN], ['Reads', 'counter', 0, OWN], ['Other', 'counter', 1, OWN], ['Open', 'gauge', 0, { ...OWN, dependency: 'orders' }], ['Open', 'gauge', 1, { ...OWN, dependency: 'mail' }]
  ])
  const lines = text().split('\n')
  for (const line of ['# HELP Orders orders', '# HELP Reads reads, as \\\\n', '# HELP LagSeconds time in a queue, in seconds', '# HELP Open whether it is open', '# HELP Other Other', '# TYPE Open gauge', '# TYPE LagSeconds histogram', 'Orders{service="user-service",environment="staging"} 5', 'Open{service="user-service",environment="staging",dependency="mail"} 1']) t.ok(lines.includes(line), line)
})

t.test('values of labels are escaped', async t => {
  const { show, text, find } = build(t)
  show('Open' as Any, 1, { dependency: 'a"b\\c\nd' })
  t.ok(text().includes('dependency="a\\"b\\\\c\\nd"} 1\n'))
  t.equal(find('Open')[0]!.labels['dependency'], 'a"b\\c\nd')
})

t.test('a time is counted in the first bucket that it does not exceed, of requests in finer ones', async t => {
  const { observe, text, find } = build(t)
  for (const seconds of [0.0005, 0.001, 0.0011, 10, 10.5]) observe('RequestSeconds' as Any, seconds, { route: '/a' })
  observe('RequestSeconds' as Any, 1, { route: '/b' })
  for (const seconds of [0.05, 86_400, 86_401]) observe('LagSeconds' as Any, seconds, { source: 'queue' })
  const [requests] = find('RequestSeconds', { route: '/a' })
  t.match(requests, { type: 'histogram', count: 5 })
  t.ok(Math.abs(requests!.value - 20.5026) < 1e-9)
  t.same(requests!.buckets!, { 0.001: 2, 0.0025: 3, 0.005: 3, 0.01: 3, 0.025: 3, 0.05: 3, 0.1: 3, 0.25: 3, 0.5: 3, 1: 3, 2.5: 3, 5: 3, 10: 4, '+Inf': 5 })
  t.equal(find('RequestSeconds', { route: '/b' })[0]!.count, 1)
  const [lag] = find('LagSeconds')
  t.same(lag!.buckets!, { 0.1: 1, 0.5: 1, 1: 1, 2: 1, 5: 1, 10: 1, 30: 1, 60: 1, 300: 1, 900: 1, 3600: 1, 21600: 1, 86400: 2, '+Inf': 3 })
  t.ok(text().includes('LagSeconds_bucket{service="user-service",environment="staging",source="queue",le="0.1"} 1\n'))
})

t.test('a metric has a thousand combinations of labels at most; what more there is changes nothing', async t => {
  const { show, observe, find } = build(t)
  for (let i = 0; i < 1010; i++) {
    show('Open' as Any, i, { dependency: String(i) })
    observe('LagSeconds' as Any, 1, { source: String(i) })
  }
  show('Open' as Any, -1, { dependency: '999' })
  show('Open' as Any, -1, { dependency: '1000' })
  t.equal(find('Open').length, 1000)
  t.equal(find('Open', { dependency: '999' })[0]!.value, -1)
  t.equal(find('LagSeconds').length, 1000)
  show('Open' as Any, 1, { dependency: 'a', other: 'b' })
})

t.test('labels whose values run together are told apart', async t => {
  const { show, find } = build(t)
  show('Open' as Any, 1, { one: 'ab', two: 'c' })
  show('Open' as Any, 2, { one: 'a', two: 'bc' })
  t.same(find('Open').map(({ value }) => value), [1, 2])
})

t.test('of the process: processor time, memory, start, and the delay of the event loop since the last scrape', async t => {
  const { samples, close } = build(t)
  const valueOf = (all: Sample[], name: string) => all.find(sample => sample.name === name)!.value
  const before = process.cpuUsage()
  const first = samples()
  t.same(first.filter(sample => !isOwn(sample)).map(({ name, type, labels, help }) => [name, type, labels, help]), [
    ['process_cpu_seconds_total', 'counter', OWN, 'processor time of user and system, in seconds'],
    ['process_resident_memory_bytes', 'gauge', OWN, 'resident memory, in bytes'],
    ['process_start_time_seconds', 'gauge', OWN, 'when the process started, in seconds since the Unix epoch'],
    ['nodejs_heap_size_used_bytes', 'gauge', OWN, 'used heap of V8, in bytes'],
    ['nodejs_eventloop_lag_p99_seconds', 'gauge', OWN, '99th percentile of the delay of the event loop since the last scrape, in seconds']
  ])
  const cpu = valueOf(first, 'process_cpu_seconds_total')
  const spent = [before, process.cpuUsage()].map(({ user, system }) => (user + system) / 1e6)
  t.ok(spent[0]! <= cpu && cpu <= spent[1]!, `${cpu} is not between ${spent.join(' and ')}`)
  t.equal(valueOf(first, 'process_start_time_seconds'), Math.round(performance.timeOrigin / 1000))
  t.ok(valueOf(first, 'process_resident_memory_bytes') > valueOf(first, 'nodejs_heap_size_used_bytes'))

  // The delay is measured every 20 ms: a turn of 300 ms is late.
  const turn = () => new Promise(resolve => setTimeout(resolve, 25))
  for (let i = 0; i < 3; i++) await turn()
  for (const end = performance.now() + 300; performance.now() < end;) { /* keeps the event loop busy */ }
  for (let i = 0; i < 3; i++) await turn()
  const late = valueOf(samples(), 'nodejs_eventloop_lag_p99_seconds')
  t.ok(late > 0.2 && late < 60, String(late))
  for (let i = 0; i < 3; i++) await turn()
  const after = valueOf(samples(), 'nodejs_eventloop_lag_p99_seconds')
  t.ok(after < late, 'a scrape begins anew')
  t.ok(after > 0.018, `${after} s: what is measured includes the 20 ms`)
  close()
  samples()
  for (let i = 0; i < 3; i++) await turn()
  t.ok(valueOf(samples(), 'nodejs_eventloop_lag_p99_seconds') < 0.001, 'after its end nothing is measured')
})
