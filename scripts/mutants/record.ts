import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { replaceBetween, type Place } from '../between.ts'
import { writeFiles } from '../write-files.ts'
import type { Instrumented, Mutant } from './copy.ts'
import { reasonFor } from './explained.ts'
import { folderOf, isNoticed, type Outcome } from './score.ts'

// What whole files showed, in docs/testing/mutants.json, and the tables in docs/testing.md that are made of it. All of src takes
// longer than most people let a machine run: what is recorded is not tried again, on whatever machine, until the file changes.

/** What the tests noticed of the mutants of one file. */
export interface FileRecord {
  /** hash of the file: with another one, the record no longer holds */
  source: string
  mutants: number
  noticed: number
  /** of those that were noticed, because a test did not end */
  timeouts: number
  /** those that were not noticed, in the order of the file */
  left: Left[]
}

export type Left = Pick<Mutant, 'line' | 'column' | 'code' | 'replacement'> & { status: 'survived' | 'unreached' }

/** By file. */
export type Records = Record<string, FileRecord>

const RECORDS = 'docs/testing/mutants.json'
const PAGE = 'docs/testing.md'
const TABLES: Place = { path: PAGE, begin: '<!-- npm run mutants -- --note writes from here -->\n', end: '\n<!-- to here -->' }

/** The records that hold: of files that are as they were. */
export function readRecords (root: string, { hashes }: Pick<Instrumented, 'hashes'>): Records {
  const path = join(root, RECORDS)
  const all = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as Records : {}
  return Object.fromEntries(Object.entries(all).filter(([file, { source }]) => hashes.get(file) === source))
}

/** Records of the files all of whose mutants have an outcome. */
export function recordsOf (outcomes: Outcome[], { mutants, hashes }: Pick<Instrumented, 'mutants' | 'hashes'>): Records {
  const there = Map.groupBy(mutants, ({ file }) => file)
  return Object.fromEntries([...Map.groupBy(outcomes, ({ mutant }) => mutant.file)].filter(([file, some]) => some.length === there.get(file)!.length).map(([file, some]) => {
    const left = some.filter(outcome => !isNoticed(outcome)).toSorted((a, b) => a.mutant.line - b.mutant.line || a.mutant.column - b.mutant.column)
    return [file, {
      source: hashes.get(file)!,
      mutants: some.length,
      noticed: some.length - left.length,
      timeouts: some.filter(({ status }) => status === 'timeout').length,
      left: left.map(({ mutant: { line, column, code, replacement }, status }) => ({ line, column, code, replacement, status: status as Left['status'] }))
    }]
  }))
}

const isSame = (a: Left | Mutant, b: Mutant): boolean => a.line === b.line && a.column === b.column && a.code === b.code && a.replacement === b.replacement

/** Whether a record says that a mutant was not noticed. */
export const isLeft = (records: Records, mutant: Mutant): boolean => records[mutant.file]?.left.some(left => isSame(left, mutant)) === true

/** Records with what was noticed after they were made, by tests that were added. */
function withNoticed (records: Records, outcomes: Outcome[]): Records {
  const noticed = Map.groupBy(outcomes.filter(isNoticed), ({ mutant }) => mutant.file)
  return Object.fromEntries(Object.entries(records).map(([file, record]) => {
    const now = (noticed.get(file) ?? []).filter(({ mutant }) => isLeft(records, mutant))
    return [file, {
      ...record,
      noticed: record.noticed + now.length,
      timeouts: record.timeouts + now.filter(({ status }) => status === 'timeout').length,
      left: record.left.filter(left => !now.some(({ mutant }) => isSame(left, mutant)))
    }]
  }))
}

/** Adds records to those that hold, and outcomes to those of the same files, and writes all of them and the tables of docs/testing.md. */
export function writeRecords (root: string, added: Records, outcomes: Outcome[], instrumented: Instrumented): Records {
  // What was noticed once stays so, until its file changes: a run may have had a smaller budget, or a busy machine.
  const held = Object.entries(withNoticed(readRecords(root, instrumented), outcomes)).filter(([file, { mutants }]) => (added[file]?.mutants ?? mutants) === mutants)
  const records = Object.fromEntries(Object.entries({ ...added, ...Object.fromEntries(held) }).sort(([a], [b]) => a < b ? -1 : 1))
  writeFiles(root, {
    [RECORDS]: `${JSON.stringify(records, undefined, 1)}\n`,
    [PAGE]: withTables(readFileSync(join(root, PAGE), 'utf8'), records, instrumented.mutants)
  })
  return records
}

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
const totalsOf = (some: FileRecord[]) => ({ tried: sum(some.map(({ mutants }) => mutants)), noticed: sum(some.map(({ noticed }) => noticed)) })

/** docs/testing.md with the tables of records in it: by folder, and what is left by file. `all` are the mutants that there are. */
export function withTables (page: string, records: Records, all: Pick<Mutant, 'file'>[]): string {
  const left = Object.entries(records).flatMap(([file, record]) => record.left.map(mutant => ({ file, ...mutant, reason: reasonFor({ file, ...mutant }) })))
  const row = (name: string, mutants: number, isPart: (file: string) => boolean) => {
    const some = Object.entries(records).filter(([file]) => isPart(file)).map(([, record]) => record)
    const { tried, noticed } = totalsOf(some)
    const late = sum(some.map(({ timeouts }) => timeouts))
    const own = left.filter(({ file }) => isPart(file))
    const explained = own.filter(({ reason }) => reason !== undefined).length
    const count = (status: Left['status']) => own.filter(mutant => mutant.status === status).length
    const share = tried === explained ? '' : `${(100 * noticed / (tried - explained)).toFixed(1)} %`
    return `| ${name} | ${mutants} | ${tried} | ${noticed}${late === 0 ? '' : ` (${late} by a timeout)`} | ${count('survived')} | ${count('unreached')} | ${explained} | ${share} |`
  }
  const whole = totalsOf(Object.values(records))
  const linesOf = (some: Left[]) => [...Map.groupBy(some, ({ line }) => line)].map(([line, { length }]) => length === 1 ? String(line) : `${line} (${length})`).join(', ')
  const reasons = Map.groupBy(left.filter(({ reason }) => reason !== undefined), ({ file, reason }) => `\`${file}\` | ${reason}`)
  const unexplained = Map.groupBy(left.filter(({ reason }) => reason === undefined), ({ file }) => file)
  return replaceBetween(page, TABLES, [
    `Score: ${(100 * whole.noticed / whole.tried).toFixed(1)} %`,
    '',
    '| part | mutants | tried | noticed | survived | reached by no test beside it | explained | noticed of those that can be |',
    '|---|---|---|---|---|---|---|---|',
    ...[...Map.groupBy(all, ({ file }) => folderOf(file))]
      .map(([folder, { length }]) => row(`\`${folder}\``, length, file => folderOf(file) === folder))
      .filter(line => !/^\| \S+ \| \d+ \| 0 /.test(line)),
    row('together', all.length, () => true),
    '',
    'Explained: no test can notice them.',
    '',
    '| file | why | mutants |',
    '|---|---|---|',
    ...[...reasons].map(([reason, { length }]) => `| ${reason} | ${length} |`),
    '',
    ...unexplained.size === 0
      ? ['Each of the others was noticed.']
      : [
          'Neither noticed nor explained; each needs a test, or a reason. By line, with how many there are of it:',
          '',
          '| file | mutants | lines |',
          '|---|---|---|',
          ...[...unexplained].map(([file, mutants]) => `| \`${file}\` | ${mutants.length} | ${linesOf(mutants)} |`)
        ]
  ].join('\n'))
}
