import type { Row, Switch } from './parameters.ts'

/** An assignment of some of the switches. */
type Partial = ReadonlyMap<string, string>

/** How many full assignments a search may look at. The rules of a template read few parameters. */
const LIMIT = 200_000

/** Every assignment of some switches. */
export function * assignments (switches: Switch[]): Generator<Row> {
  const [first, ...others] = switches
  if (first === undefined) {
    yield {}
    return
  }
  for (const rest of assignments(others)) for (const value of first.values) yield { [first.name]: value, ...rest }
}

export const countOf = (switches: Switch[]): number => switches.reduce((product, { values }) => product * values.length, 1)

/**
 * Finds out whether an assignment of some switches can be completed to one that the rules permit.
 *
 * @param read the switches that the rules read; the others are free
 */
export function createCompleter (read: Switch[], isPermitted: (row: Row) => boolean): (given: Partial) => boolean {
  if (countOf(read) > LIMIT) throw new RangeError(`the rules read ${read.length} parameters, which are more combinations than can be looked at`)
  const permitted = [...assignments(read)].filter(isPermitted)
  const known = new Map<string, boolean>()
  return given => {
    const own = read.flatMap(({ name }) => given.has(name) ? [[name, given.get(name)!] as const] : [])
    const key = JSON.stringify(own)
    let answer = known.get(key)
    if (answer === undefined) known.set(key, answer = permitted.some(row => own.every(([name, value]) => row[name] === value)))
    return answer
  }
}

/** A generator of numbers that gives the same ones in every run (mulberry32). */
function createRandom (seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Combinations of a few values of different switches: all pairs, or all triples. */
export function tuplesOf (switches: Switch[], size: 2 | 3): (readonly (readonly [name: string, value: string])[])[] {
  const settings = switches.map(({ name, values }) => values.map(value => [name, value] as const))
  const pairs = settings.flatMap((first, i) => settings.slice(i + 1).flatMap((second, j) => first.flatMap(a => second.map(b => ({ last: i + 1 + j, items: [a, b] })))))
  if (size === 2) return pairs.map(({ items }) => items)
  return pairs.flatMap(({ last, items }) => settings.slice(last + 1).flatMap(third => third.map(c => [...items, c])))
}

/**
 * Rows in which each pair, or each triple, of values of different switches appears that the rules permit: a covering array,
 * row by row, as AETG does it (Cohen et al., "The AETG system", IEEE Transactions on Software Engineering 23, 1997).
 *
 * @param completes whether a partial row can become one that the rules permit
 * @param before rows that are there already
 */
export function cover (switches: Switch[], size: 2 | 3, completes: (given: Partial) => boolean, before: Row[] = []): Row[] {
  const order = new Map(switches.map(({ name }, i) => [name, i]))
  const codes = new Map<string, number>()
  for (const { name, values } of switches) for (const value of values) codes.set(`${name}=${value}`, codes.size)
  const width = codes.size
  const codeOf = (name: string, value: string) => codes.get(`${name}=${value}`)!
  // A tuple's place in the table of those that are still missing: its codes in ascending order, as digits.
  const place = (items: number[]) => items.sort((a, b) => a - b).reduce((sum, code) => sum * width + code, 0)
  const isMissing = new Uint8Array(width ** size)
  const tuples = tuplesOf(switches, size).filter(tuple => completes(new Map(tuple)))
  for (const tuple of tuples) isMissing[place(tuple.map(([name, value]) => codeOf(name, value)))] = 1

  /** Places of the tuples that a new setting makes with the settings of a row. */
  function placesOf (row: number[], setting: number): number[] {
    if (size === 2) return row.map(other => place([other, setting]))
    return row.flatMap((other, i) => row.slice(i + 1).map(another => place([other, another, setting])))
  }
  const gain = (row: number[], setting: number) => placesOf(row, setting).reduce((sum, at) => sum + isMissing[at]!, 0)
  function take (row: Row) {
    const settings: number[] = []
    for (const { name } of switches) {
      const setting = codeOf(name, row[name]!)
      for (const at of placesOf(settings, setting)) isMissing[at] = 0
      settings.push(setting)
    }
  }

  const random = createRandom(1)
  function candidate (start: (readonly [string, string])[]): { row: Row, gained: number } {
    const given = new Map(start)
    const row = start.map(([name, value]) => codeOf(name, value))
    let gained = 1
    const rest = switches.filter(({ name }) => !given.has(name)).map(item => ({ item, at: random() })).sort((a, b) => a.at - b.at)
    for (const { item: { name, values } } of rest) {
      const possible = values.filter(value => completes(new Map(given).set(name, value))).map(value => ({ value, gain: gain(row, codeOf(name, value)), at: random() }))
      const best = possible.sort((a, b) => b.gain - a.gain || a.at - b.at)[0]!
      given.set(name, best.value)
      row.push(codeOf(name, best.value))
      gained += best.gain
    }
    return { row: Object.fromEntries([...given].sort(([a], [b]) => order.get(a)! - order.get(b)!)), gained }
  }

  const rows: Row[] = []
  before.forEach(take)
  for (const tuple of tuples) {
    if (isMissing[place(tuple.map(([name, value]) => codeOf(name, value)))] === 0) continue
    const candidates = Array.from({ length: size === 2 ? 20 : 5 }, () => candidate([...tuple]))
    const best = candidates.reduce((a, b) => b.gained > a.gained ? b : a)
    take(best.row)
    rows.push(best.row)
  }
  return rows
}
