import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** What /metrics knows of the metrics in advance. */
export const METRIC_LIST = 'src/server/metric-list.ts'

type Kind = 'count' | 'frequent' | 'seconds' | 'state'

interface Declaration {
  name: string
  kind: Kind
  /** its comment, if it has one */
  help: string | undefined
}

/** The metrics that a source adds to MetricNames. */
export function declaredIn (source: string): Declaration[] {
  const [, body = ''] = /interface MetricNames \{([^}]*)\}/.exec(source) ?? []
  return [...body.matchAll(/(?:\/\*\* (.+) \*\/\n)?^ *(\w+): (?:true|'(\w+)')$/gm)].map(([, help, name, kind = 'count']) => ({ name: name!, kind: kind as Kind, help }))
}

/**
 * A source with all metrics. At run time their names are types only, and the server cannot read sources: it may be a bundle.
 *
 * @throws when a metric has no comment
 */
export function makeMetricList (sources = globSync('src/**/*.ts', { cwd: ROOT }).map(file => readFileSync(join(ROOT, file), 'utf8'))): string {
  const rows = sources.flatMap(declaredIn).sort((a, b) => a.name < b.name ? -1 : 1).map(({ name, kind, help }) => {
    if (help === undefined) throw new Error(`${name} in MetricNames needs a comment of one line above it: /metrics shows it`)
    return `  ${name}: ['${kind}', '${help.replace(/[\\']/g, '\\$&')}'],\n`
  })
  return `// Made by npm run openapi from what modules and plugins declare in MetricNames. Not edited.

/** The metrics of the service by their names: kind, and what is counted or measured. */
export const METRICS: Record<string, readonly [kind: 'count' | 'frequent' | 'seconds' | 'state', help: string]> = {
${rows.join('').replace(/,\n$/, '\n')}}
`
}
