import { readFileSync } from 'node:fs'
import t from 'tap'
import { createPrometheus } from '../../src/server/prometheus.ts'
import { declared } from '../metric-names.ts'
import { parseExposition } from '../server/exposition.ts'

interface Dashboard {
  panels: { id: number, title: string, gridPos: { x: number, y: number, w: number, h: number }, targets: { expr: string }[] }[]
  templating: { list: { name: string, definition?: string }[] }
}

/** What /metrics shows: each series' name, with the labels it has besides `service` and `environment`. */
const LABELS: Record<string, string[]> = { RequestSeconds: ['method', 'route', 'status'], QueueLagSeconds: ['source'], StreamLagSeconds: ['source'], BreakerOpen: ['dependency'] }

function shown (): Map<string, string[]> {
  const prometheus = createPrometheus({ service: 's', environment: 'e' })
  const ofProcess = parseExposition(prometheus.text()).map(({ name }) => name)
  prometheus.close()
  const ours = [...declared].flatMap(([name, kind]) => kind === 'seconds' ? ['_bucket', '_sum', '_count'].map(suffix => name + suffix) : [name])
  const common = ['service', 'environment', 'instance']
  return new Map([...ofProcess, ...ours].map(name => [name, [...common, ...LABELS[name.replace(/_(bucket|sum|count)$/, '')] ?? [], ...(name.endsWith('_bucket') ? ['le'] : [])]]))
}

const series = shown()
const WORDS = new Set(['sum', 'by', 'rate', 'increase', 'histogram_quantile', 'max', 'label_values', '__rate_interval', 'service', 'environment'])

/** What is wrong with a dashboard: metrics and labels that /metrics does not have, and metrics that it leaves out. */
function faults ({ panels, templating }: Dashboard): string[] {
  const expressions = [...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)), ...templating.list.map(({ name, definition = '' }) => [name, definition] as const)]
  const used = new Set<string>()
  const found = expressions.flatMap(([title, expr]) => {
    const names = [...expr.replace(/"[^"]*"/g, '').matchAll(/[A-Za-z_]\w*/g)].map(([word]) => word).filter(word => series.has(word))
    for (const name of names) used.add(name.replace(/_(bucket|sum|count)$/, ''))
    const labels = names.flatMap(name => series.get(name)!)
    const unknown = [...expr.replace(/"[^"]*"|\[[^\]]*\]/g, '').matchAll(/[A-Za-z_]\w*/g)].map(([word]) => word).filter(word => !series.has(word) && !WORDS.has(word) && !labels.includes(word))
    return [...new Set(unknown)].map(word => `${title}: /metrics has no ${word}`)
  })
  const missing = [...new Set([...series.keys()].map(name => name.replace(/_(bucket|sum|count)$/, '')))].filter(name => !used.has(name) && name !== 'process_start_time_seconds')
  return [...found, ...missing.map(name => `no panel shows ${name}`)]
}

const text = readFileSync('docs/observability/grafana.json', 'utf8')
const read = () => JSON.parse(text) as Dashboard

t.test('the Grafana dashboard shows each metric, by names and labels that /metrics has', t => {
  t.ok(read().panels.length > 10)
  t.same(faults(read()), [])
  t.end()
})

t.test('a panel of a metric or label that does not exist is found, and so is a metric without a panel', t => {
  const planted = read()
  planted.panels[0]!.targets[0]!.expr = 'sum by (userId) (rate(RequestSeconds_total{service="x"}[5m]))'
  planted.panels = planted.panels.filter(({ title }) => title !== 'Requests rejected under load')
  t.same(faults(planted), ['Requests a second, by route: /metrics has no userId', 'Requests a second, by route: /metrics has no RequestSeconds_total', 'no panel shows RequestsShed'])
  t.end()
})

t.test('panels have ids of their own and do not overlap', t => {
  const { panels } = read()
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, i) => `${x + i % w} ${y + Math.floor(i / w)}`))
  t.equal(new Set(cells).size, cells.length)
  t.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
  t.end()
})

t.test('the expressions in docs/observability.md use what /metrics has', t => {
  const expressions = [...readFileSync('docs/observability.md', 'utf8').matchAll(/^\| [^|]+ \| `([^`]+\(.+)` \|$/gm)].map(([, expr]) => expr!)
  t.ok(expressions.length >= 5)
  for (const expr of expressions) t.ok([...expr.matchAll(/\b[A-Z]\w+/g)].every(([name]) => series.has(name)), expr)
  t.end()
})
