import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem, type as system } from 'node:os'
import { join } from 'node:path'
import type { Table } from './bench.ts'
import { BENCH, ROOT } from './paths.ts'

/** One run of a benchmark: what it measured, where, when, and how to repeat it. */
export interface Section {
  command: string
  date: string
  commit: string
  machine: string
  tables: Table[]
  /** the compared figures of a small run after it, by table and row: code that is less warm has other ratios */
  small: Compared
}

/** The figures that are compared with those of a later run: by table, row and column. */
export type Compared = Record<string, Record<string, Record<string, number>>>

/** By the name of the benchmark. */
export type Results = Record<string, Section>

const FILE = join(BENCH, 'results.json')

/** The committed results. */
export const readResults = (): Results => JSON.parse(readFileSync(FILE, 'utf8')) as Results

/** The lasting part of a figure: four digits. */
const rounded = (value: number | undefined) => value === undefined ? undefined : Number(value.toPrecision(4))

/** Replaces the results of these benchmarks; the others stay. */
export async function writeResults (sections: Results): Promise<Results> {
  const results = { ...JSON.parse(await readFile(FILE, 'utf8').catch(() => '{}')) as Results, ...sections }
  for (const { tables } of Object.values(results)) {
    for (const { rows } of tables) for (const row of rows) row.values = Object.fromEntries(Object.entries(row.values).map(([key, value]) => [key, rounded(value)]))
  }
  await writeFile(FILE, `${JSON.stringify(results, null, 2)}\n`)
  return JSON.parse(JSON.stringify(results)) as Results
}

function commit (): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'scripts/build.ts', 'scripts/build', 'package-lock.json') !== ''
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`
  } catch {
    return 'unknown'
  }
}

/** The machine in one line, without its name. */
const machine = () => `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? process.arch}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${system()} ${release().split('-')[0]}, Node ${process.versions.node}`

export const section = (name: string, tables: Table[], small: Table[]): Section => ({ command: `npm run bench -- ${name}`, date: new Date().toISOString().slice(0, 10), commit: commit(), machine: machine(), tables, small: comparedOf(small) })

/** A ratio may get worse by this share before it is reported. */
const TOLERANCE = 0.25

/** The figures of tables that are compared: exact ones all, and of the others the ratio. */
export function comparedOf (tables: readonly Table[]): Compared {
  return Object.fromEntries(tables.filter(({ isCompared }) => isCompared !== false).map(({ id, better, compared = 'ratio', rows, columns }) => [id, Object.fromEntries(rows.map(({ name, values }) => {
    const keys = better === undefined ? columns.map(({ key }) => key) : [compared]
    return [name, Object.fromEntries(keys.flatMap(key => values[key] === undefined ? [] : [[key, rounded(values[key])]]))]
  }))])) as Compared
}

/**
 * One line for each ratio of this service that is worse than the committed one by more than a quarter, with both figures; and
 * for each exact figure that has changed. A peer that got slower is no loss.
 */
export function losses (tables: readonly Table[], committed: Compared): string[] {
  const lines: string[] = []
  for (const { id, title, better, hasPeers = true, columns, rows } of tables) {
    for (const { name, values } of rows) {
      if (better !== undefined && hasPeers && !name.startsWith('this service')) continue
      for (const [key, was] of Object.entries(committed[id]?.[name] ?? {})) {
        const is = values[key]
        if (is === undefined) continue
        const isWorse = better === undefined ? was !== rounded(is) : better === 'lower' ? is > was * (1 + TOLERANCE) : is < was * (1 - TOLERANCE)
        if (isWorse) lines.push(`${title}, ${name}, ${columns.find(column => column.key === key)?.title ?? key}: ${Number(was.toPrecision(3))} before, ${Number(is.toPrecision(3))} now`)
      }
    }
  }
  return lines
}
