import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { replaceBetween, type Place } from '../between.ts'
import { writeFiles } from '../write-files.ts'
import { CATALOGUE, type Group, type Promised } from './catalogue.ts'

// The figures of the last full runs, in docs/promises/figures.json, and the tables in docs/promises.md that are made of them.

/** What a promise's tests found in their last full run. */
export interface Figure {
  /** YYYY-MM-DD */
  date: string
  commit: string
  machine: string
  seconds: number
  parts: Part[]
  /** why it is not kept although every part holds, such as a test that reported nothing */
  problem?: string
}

export interface Part {
  part?: string
  figure: string
  holds: boolean
}

/** By number of the promise. */
export type Figures = Record<string, Figure>

const FIGURES = 'docs/promises/figures.json'
const PAGE = 'docs/promises.md'

const TABLES: Place = { path: PAGE, begin: '<!-- npm run promises writes from here -->\n', end: '\n<!-- to here -->' }

export const isKept = ({ parts, problem }: Figure): boolean => problem === undefined && parts.length > 0 && parts.every(({ holds }) => holds)

/** The commit of a folder, and whether it has changes beside the figures. */
export function commitOf (root: string): string {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  const { status, stdout } = git('rev-parse', '--short=9', 'HEAD')
  if (status !== 0) return 'unknown'
  return stdout.trim() + (git('status', '--porcelain', '--', '.', `:!${FIGURES}`, `:!${PAGE}`).stdout.trim() === '' ? '' : ' with changes')
}

/** This machine, as the page names it. */
export function describeMachine (): string {
  return `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB of memory, Node ${process.version.slice(1)}`
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function row ({ number, text, notReached }: Promised, figure: Figure | undefined, machines: string[]): string {
  const cells = (figures: string, verdict: string, run: string) => `| ${number} | ${[text, figures, verdict, run].map(cell).join(' | ')} |`
  if (figure === undefined) return cells('not measured yet', '**no**', `\`npm run promises -- ${number}\``)
  const { date, commit, machine, seconds, parts, problem } = figure
  const figures = parts.map(({ part, figure, holds }) => `${part === undefined ? '' : `${part}: `}${figure}${holds ? '' : ' (**does not hold**)'}`).join('<br>')
  const verdict = isKept(figure) ? 'yes' : `**no**${notReached === undefined ? '' : `, not reached: ${notReached}`}${problem === undefined ? '' : `: ${problem}`}`
  return cells(figures === '' ? 'none' : figures, verdict, `\`npm run promises -- ${number}\`, ${seconds} s: ${date}, ${commit}, ${machines.indexOf(machine) + 1}`)
}

/** The tables of the promises. */
export function renderTables (figures: Figures, catalogue: Group[] = CATALOGUE): string {
  const machines = [...new Set(Object.values(figures).map(({ machine }) => machine))]
  const all = catalogue.flatMap(({ promises }) => promises)
  const kept = all.filter(({ number }) => figures[number] !== undefined && isKept(figures[number]!)).length
  return [
    `${kept} of ${all.length} are kept. The last column has the command, how long its tests take, and the day, the commit and the machine of the figure:`,
    '',
    ...machines.map((machine, i) => `${i + 1}. ${machine}`),
    ...catalogue.flatMap(({ title, promises }) => [
      '',
      `### ${title}`,
      '',
      '| | promise | figure | kept | run |',
      '|---|---|---|---|---|',
      ...promises.map(promise => row(promise, figures[promise.number], machines))
    ])
  ].join('\n')
}

/** A page with the tables of some figures. */
export const withTables = (page: string, figures: Figures, catalogue?: Group[]): string => replaceBetween(page, TABLES, renderTables(figures, catalogue))

export const readFigures = (root: string): Figures => JSON.parse(readFileSync(join(root, FIGURES), 'utf8')) as Figures
export const readPage = (root: string): string => readFileSync(join(root, PAGE), 'utf8')

/** Replaces the figures of some promises, and their rows of the page. */
export function writeFigures (root: string, changed: Figures): void {
  const figures = { ...readFigures(root), ...changed } // keys that are numbers are kept in their order
  writeFiles(root, { [FIGURES]: `${JSON.stringify(figures, undefined, 2)}\n`, [PAGE]: withTables(readPage(root), figures) })
}
