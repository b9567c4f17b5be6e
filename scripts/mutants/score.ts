import type { Mutant } from './copy.ts'

export interface Outcome {
  mutant: Mutant
  /** `killed`: a test failed. `timeout`: a test did not end. `survived`: the tests that reach it passed. `unreached`: none reaches it. */
  status: 'killed' | 'timeout' | 'survived' | 'unreached'
  tests: string[]
  ms: number
  /** of the runs that came to their end */
  cpuMs?: number
  /** some of the tests that reach it were not tried: they would have cost too much */
  isPartial?: true
}

export const isNoticed = ({ status }: Outcome): boolean => status === 'killed' || status === 'timeout'

export const scoreOf = (outcomes: Outcome[]): number => outcomes.length === 0 ? 1 : outcomes.filter(isNoticed).length / outcomes.length

/** How far below the true score a sample may be by chance: 2.33 standard deviations, which one sample in a hundred exceeds. */
export const tolerance = (score: number, size: number): number => 2.33 * Math.sqrt(score * (1 - score) / size)

/** The same items for the same seed (mulberry32), each at most once. */
export function draw<T> (items: T[], count: number, seed: number): T[] {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const left = [...items]
  return Array.from({ length: Math.min(count, items.length) }, () => left.splice(Math.floor(random() * left.length), 1)[0]!)
}

/** The part of src that a file belongs to: a module, or a folder. */
export const folderOf = (file: string): string => file.split('/').slice(0, file.startsWith('src/modules/') ? 3 : 2).join('/')

/** One line for each mutant that no test noticed, then the scores by folder. */
export function summary (outcomes: Outcome[]): string {
  const lines: string[] = []
  const sorted = outcomes.toSorted((a, b) => a.mutant.file < b.mutant.file ? -1 : a.mutant.file > b.mutant.file ? 1 : a.mutant.line - b.mutant.line || a.mutant.column - b.mutant.column)
  for (const outcome of sorted) {
    const { mutant: { file, line, column, kind, code, replacement }, status } = outcome
    if (!isNoticed(outcome)) lines.push(`${status} ${file}:${line}:${column} ${kind}: ${code} → ${replacement}`)
  }
  const row = (name: string, some: Outcome[]) => {
    const count = (status: Outcome['status']) => some.filter(outcome => outcome.status === status).length
    return `${name.padEnd(24)} ${(100 * scoreOf(some)).toFixed(1).padStart(5)} %  ${some.length} mutants: ${count('killed') + count('timeout')} killed (${count('timeout')} by a timeout), ${count('survived')} survived, ${count('unreached')} reached by no test`
  }
  lines.push('', ...Object.entries(Object.groupBy(sorted, ({ mutant }) => folderOf(mutant.file))).map(([folder, some]) => row(folder, some!)), row('all', outcomes))
  return lines.join('\n')
}
