import { replaceBetween, type Place } from '../../scripts/between.ts'
import type { Column, Row, Table } from './bench.ts'
import { drawTable } from './plot.ts'
import type { Results } from './results.ts'

function figure (value: number | undefined, { digits = 0 }: Column): string {
  if (value === undefined || Number.isNaN(value)) return '–'
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** A figure; after the ratio, the spread of its rounds. */
function cell (row: Row, column: Column): string {
  const { low, high } = row.values
  const text = figure(row.values[column.key], column)
  return column.key === 'ratio' && low !== undefined && high !== undefined ? `${text} (${figure(low, column)}–${figure(high, column)})` : text
}

/** The figures of a table as text, with its head. */
function linesOf ({ columns, rows }: Table): string[][] {
  const hasNotes = rows.some(({ note }) => note !== undefined)
  return [
    ['', ...columns.map(({ title }) => title), ...(hasNotes ? [''] : [])],
    ...rows.map(row => [row.name, ...columns.map(column => cell(row, column)), ...(hasNotes ? [row.note ?? ''] : [])])
  ]
}

/** A table for the terminal. */
export function renderText (table: Table): string {
  const lines = linesOf(table)
  const widths = lines[0]!.map((_, index) => Math.max(...lines.map(line => line[index]!.length)))
  return [table.title, ...lines.map(line => line.map((text, index) => index === 0 || index > table.columns.length ? text.padEnd(widths[index]!) : text.padStart(widths[index]!)).join('  ').trimEnd())].join('\n')
}

function renderMarkdown (table: Table): string {
  const [head, ...rows] = linesOf(table).map(line => `| ${line.join(' | ')} |`)
  const columns = linesOf(table)[0]!
  return [head, `|${columns.map((_, index) => index === 0 || index > table.columns.length ? '---|' : '--:|').join('')}`, ...rows].join('\n')
}

/** The order and titles of the benchmarks on the page. */
const TITLES: Record<string, string> = { cold: 'Cold start', warm: 'Warm invocation', server: 'Plain server', calls: 'Calls to AWS', pipeline: 'From registration to mail', scale: 'Scale', local: 'The local system' }

const INTRODUCTION = `# Benchmarks

\`npm run bench\` writes this page: it runs this service beside other ways to write it, on the same work. Contenders take turns in shuffled rounds, and each ratio is the median of the ratios within a round, so that a busy machine slows both sides. Ratios can be compared with another machine; milliseconds cannot. Every contender's answers are checked before it is timed.

The contenders are in \`bench/peers/\`, each written as its own documentation advises, with the same AWS SDK. They verify HS256 tokens, and this service EdDSA. Their packages are in \`bench/package.json\`, not in the service's.

[Performance](performance.md) has the goals, and what is in the way where one is not reached. \`npm run bench -- --help\` lists the commands. CI runs each at a small size and prints a warning when a ratio is more than a quarter worse than here.
`

/** The pictures of the page, by their file name. */
export function renderPictures (results: Results): Record<string, string> {
  const tables = Object.values(results).flatMap(({ tables }) => tables)
  return Object.fromEntries(tables.filter(({ better }) => better !== undefined).map(table => [`${table.id}.svg`, drawTable(table)]))
}

/** The page docs/benchmarks.md. */
export function renderPage (results: Results): string {
  const names = [...Object.keys(TITLES), ...Object.keys(results)].filter((name, index, all) => name in results && all.indexOf(name) === index)
  const sections = names.map(name => {
    const { command, date, commit, machine, tables } = results[name]!
    return [
      `## ${TITLES[name] ?? name}`,
      `\`${command}\`, ${date}, commit ${commit}. ${machine}.`,
      ...tables.flatMap(table => [
        `### ${table.title}`,
        table.note,
        renderMarkdown(table),
        ...(table.better === undefined ? [] : [`![${table.title}: ratios](benchmarks/${table.id}.svg)`])
      ])
    ].join('\n\n')
  })
  return `${[INTRODUCTION.trimEnd(), ...sections].join('\n\n')}\n`
}

const SIMULATION: Place = { path: 'docs/capacity.md', begin: '<!-- Begin of what `npm run bench -- simulate` writes. -->\n', end: '<!-- End of what `npm run bench -- simulate` writes. -->' }

/** The page docs/capacity.md with these tables between its two markers. Throws when it has no markers. */
export function withSimulation (page: string, tables: readonly Table[]): string {
  const parts = tables.map(table => `### ${table.title}\n\n${table.note}\n\n${renderMarkdown(table)}`)
  return replaceBetween(page, SIMULATION, `\n${parts.join('\n\n')}\n\n`)
}
