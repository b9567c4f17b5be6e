/** A sample of Prometheus' text format. A histogram's has its buckets, sum and count. */
export interface Sample {
  name: string
  type: string
  help: string | undefined
  labels: Record<string, string>
  value: number
  buckets?: Record<string, number>
  count?: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

const unescaped = (value: string) => value.replace(/\\(.)/g, (_, char: string) => char === 'n' ? '\n' : char)

/**
 * Reads the text format as a scraper does (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * @throws for what a scraper rejects, or would read wrongly: a line of another form, a metric whose lines are apart, a series
 * that comes twice, buckets that are not cumulative
 */
export function parseExposition (text: string): Sample[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const types = new Map<string, string>()
  const helps = new Map<string, string>()
  const samples = new Map<string, Sample>()
  let current = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helped, help] = /^# HELP (\S+) ((?:[^\\\n]|\\[\\n])+)$/.exec(line) ?? []
    if (helped !== undefined) {
      if (helps.has(helped) || types.has(helped)) throw new Error(`the help of ${helped} comes twice, or late`)
      helps.set(helped, unescaped(help!))
      continue
    }
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (typed !== undefined) {
      if (types.has(typed)) throw new Error(`${typed} comes twice`)
      types.set(typed, type!)
      current = typed
      continue
    }
    const [, name, inBraces = '', value] = LINE.exec(line) ?? []
    if (name === undefined || Number.isNaN(Number(value))) throw new Error(`no line of the format: ${line}`)
    const kind = types.get(current)
    const [suffix = 'other'] = kind === 'histogram' ? /(?<=^.+)_(?:bucket|sum|count)$/.exec(name) ?? [] : ['']
    if (name !== current + suffix) throw new Error(`${name} is apart from its type`)
    const { le, ...labels } = Object.fromEntries([...inBraces.matchAll(LABEL)].map(([, label, held]) => [label!, unescaped(held!)]))
    const key = `${current} ${JSON.stringify(labels)}`
    const known = samples.get(key)
    const sample = known ?? { name: current, type: kind!, help: helps.get(current), labels, value: NaN, ...(kind === 'histogram' ? { buckets: {} } : {}) }
    samples.set(key, sample)
    if (suffix === '_bucket') {
      const last = Object.values(sample.buckets!).at(-1) ?? 0
      if (le === undefined || le in sample.buckets! || Number(value) < last) throw new Error(`a bucket of ${current} is not cumulative: ${line}`)
      sample.buckets![le] = Number(value)
    } else if (suffix === '_count') sample.count = Number(value)
    else if (Number.isNaN(sample.value)) sample.value = Number(value)
    else throw new Error(`a series comes twice: ${line}`)
  }
  for (const { name, buckets, count } of samples.values()) if (buckets !== undefined && buckets['+Inf'] !== count) throw new Error(`the last bucket of ${name} is not its count`)
  return [...samples.values()]
}
