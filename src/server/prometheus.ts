import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Scraped } from '../plugins/metrics.ts'
import { METRICS } from './metric-list.ts'

// The text format of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

type Labels = Record<string, string>

/** Upper bounds in seconds. A request is answered or given up within nine seconds; a mail may wait for a day. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const LAG_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400]

/** Combinations of labels of one metric. There are some 200 of routes and statuses; more would be a fault here, which must not fill the memory. */
const MAX_SERIES = 1000

const OF_PROCESS = {
  process_cpu_seconds_total: 'processor time of user and system, in seconds',
  process_resident_memory_bytes: 'resident memory, in bytes',
  process_start_time_seconds: 'when the process started, in seconds since the Unix epoch',
  nodejs_heap_size_used_bytes: 'used heap of V8, in bytes',
  nodejs_eventloop_lag_p99_seconds: '99th percentile of the delay of the event loop since the last scrape, in seconds'
}

interface Series {
  labels: Labels
  /** of a count or a state; the sum of a histogram */
  value: number
  /** of a histogram: how many values are in each bucket alone, the last one without an upper bound */
  buckets?: number[]
}

interface Metric {
  type: 'counter' | 'gauge' | 'histogram'
  /** of a histogram: the upper bounds of its buckets */
  bounds: number[] | undefined
  series: Map<string, Series>
}

const escaped = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
const inBraces = (labels: Labels) => `{${Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`

function linesOf (name: string, bounds: Metric['bounds'], { labels, value, buckets }: Series): string[] {
  if (buckets === undefined) return [`${name}${inBraces(labels)} ${value}`]
  let count = 0
  const lines = buckets.map((held, i) => {
    count += held
    return `${name}_bucket${inBraces({ ...labels, le: String(bounds![i] ?? '+Inf') })} ${count}`
  })
  return [...lines, `${name}_sum${inBraces(labels)} ${value}`, `${name}_count${inBraces(labels)} ${count}`]
}

/**
 * Keeps the service's metrics for a scraper, under the names and dimensions that they have in CloudWatch, and adds those of
 * the process under their usual names.
 */
export function createPrometheus (dimensions: { service: string, environment: string }, known = METRICS): Scraped & { text: () => string, close: () => void } {
  const metrics = new Map<string, Metric>()
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()

  function seriesOf (name: string, type: Metric['type'], labels: Labels, bounds?: number[]): Series | undefined {
    let metric = metrics.get(name)
    if (metric === undefined) metrics.set(name, metric = { type, bounds, series: new Map() })
    const key = Object.values(labels).join('\n')
    let series = metric.series.get(key)
    if (series !== undefined || metric.series.size >= MAX_SERIES) return series
    series = { labels: { ...dimensions, ...labels }, value: 0, ...(bounds === undefined ? {} : { buckets: Array<number>(bounds.length + 1).fill(0) }) }
    metric.series.set(key, series)
    return series
  }

  // Counts have no labels of their own, so their series are known: from 0 on, the first event is an increase that rate() sees.
  for (const [name, [kind]] of Object.entries(known)) if (kind === 'count' || kind === 'frequent') seriesOf(name, 'counter', {})

  function readProcess (): void {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const read: Record<keyof typeof OF_PROCESS, number> = {
      process_cpu_seconds_total: (user + system) / 1e6,
      process_resident_memory_bytes: rss,
      process_start_time_seconds: Math.round(performance.timeOrigin / 1000),
      nodejs_heap_size_used_bytes: heapUsed,
      nodejs_eventloop_lag_p99_seconds: delay.percentile(99) / 1e9
    }
    for (const [name, value] of Object.entries(read)) seriesOf(name, name.endsWith('_total') ? 'counter' : 'gauge', {})!.value = value
    delay.reset() // the percentile is that of the time since the last scrape
  }

  /** The format has no units, so the help says them. */
  function helpOf (name: string): string {
    const [kind, help] = known[name] ?? [undefined, OF_PROCESS[name as keyof typeof OF_PROCESS]]
    return `${help ?? name}${kind === 'seconds' ? ', in seconds' : ''}`.replaceAll('\\', '\\\\')
  }

  return {
    count (name, value) {
      seriesOf(name, 'counter', {})!.value += value
    },
    observe (name, seconds, labels) {
      const bounds = name === 'RequestSeconds' ? REQUEST_BUCKETS : LAG_BUCKETS
      const series = seriesOf(name, 'histogram', labels, bounds)
      if (series === undefined) return
      const index = bounds.findIndex(bound => seconds <= bound)
      series.buckets![index === -1 ? bounds.length : index]!++
      series.value += seconds
    },
    show (name, value, labels) {
      const series = seriesOf(name, 'gauge', labels)
      if (series !== undefined) series.value = value
    },
    text () {
      readProcess()
      return [...metrics].flatMap(([name, { type, bounds, series }]) => [`# HELP ${name} ${helpOf(name)}`, `# TYPE ${name} ${type}`, ...[...series.values()].flatMap(one => linesOf(name, bounds, one))]).join('\n') + '\n'
    },
    close () { delay.disable() }
  }
}
