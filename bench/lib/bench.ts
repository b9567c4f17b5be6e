/** A benchmark that cannot be run, or whose contender answers wrongly: one line for the user, and exit code 1. */
export class BenchError extends Error {
  override name = 'BenchError'
}

/** What a command of the benchmarks is given. */
export interface Context {
  /** a short run, to see that the benchmark works: its figures are rough */
  small: boolean
  /** the contenders to run, by name; undefined = all */
  only: ReadonlySet<string> | undefined
  /** directories with an index.mjs of the user's own, also run by `cold` */
  bundles: readonly string[]
  /** users in the largest table that `scale` loads; undefined = its default */
  users?: number | undefined
  /** reports progress: what is being done, in a few words */
  say (text: string): void
  /** registers what must be done when the benchmark ends, for whatever reason; the last one first */
  teardown (step: () => unknown): void
}

export interface Row {
  name: string
  /** by the key of a column; undefined = not measured */
  values: Record<string, number | undefined>
  /** shown after the figures */
  note?: string
}

export interface Column {
  key: string
  title: string
  /** decimal places */
  digits?: number
}

/** What a benchmark measured. Rendered on the terminal, in docs/benchmarks.md and as a picture. */
export interface Table {
  id: string
  title: string
  /** how to read it, one paragraph */
  note: string
  columns: Column[]
  rows: Row[]
  /** which way `ratio` is better, which has a spread from `low` to `high`; undefined = exact figures */
  better?: 'lower' | 'higher'
  /** false for figures of one machine at one time, which are not compared with those of another run */
  isCompared?: false
  /** false when every row is this service's */
  hasPeers?: boolean
  /** the column that a small run compares with the committed results; default: `ratio` */
  compared?: string
}

export interface Benchmark {
  summary: string
  /** true when it is calculated from the results of the others: kept in docs/capacity.md, and not among the results */
  isDerived?: true
  /** the names that select its contenders; without them it runs as a whole */
  contenders?: readonly string[]
  /** Whether the packages of bench/package.json are needed for this selection of contenders. */
  needsPackages (context: Context): boolean
  run (context: Context): Promise<Table[]>
}

/** Whether a contender is selected. The base of the ratios always is. */
export const isSelected = ({ only }: Pick<Context, 'only'>, name: string, base: string): boolean => only === undefined || name === base || only.has(name)
