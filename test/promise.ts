import { appendFileSync } from 'node:fs'

// Promises of docs/promises.md are tests. `npm test` tries them at a small size, CI at half the full one, and
// `npm run promises` at the full one, which writes the figures into that page.

/** What a test of a promise found. */
export interface Finding {
  /** its number in docs/promises.md */
  promise: number
  /** which part of it, when several tests hold one promise; part of a sentence, such as `Redis frozen` */
  part?: string
  /** what was measured, with its units: `10 addresses × 50: 10 accounts, 0 × 5xx` */
  figure: string
  /** whether the promise holds at this size */
  holds: boolean
}

/** The part of a tap test that is needed. */
interface Test {
  comment (text: string): void
  ok (value: unknown, message: string): unknown
}

export type Size = 'short' | 'half' | 'full'

/** Set by `npm run promises`; without it, a test runs at its short size. */
export const SIZE: Size = process.env['PROMISES_SIZE'] === 'full' ? 'full' : process.env['PROMISES_SIZE'] === 'half' ? 'half' : 'short'

/** How many of something a promise is tried with. */
export function workload ({ short, full }: { short: number, full: number }): number {
  return SIZE === 'full' ? full : SIZE === 'half' ? Math.max(short, Math.ceil(full / 2)) : short
}

/** How often a figure of time is measured. */
const MEASUREMENTS = 3

/**
 * Measures times until they are within what is promised, three times at most: other work on the machine makes them longer,
 * never shorter. What must not happen at all is no time, and is not measured again. The figure says which measurement it is.
 */
export async function measureTimes<T> (measure: () => Promise<T>, isInTime: (found: T) => boolean): Promise<{ found: T, again: string }> {
  for (let n = 1; ; n++) {
    const found = await measure()
    if (isInTime(found) || n === MEASUREMENTS) return { found, again: n === 1 ? '' : `; measurement ${n}, because the machine was busy before` }
  }
}

/** Fails the test when the promise does not hold, and hands the figure to `npm run promises`, which reads the file that it names. */
export function report (t: Test, finding: Finding): void {
  const { promise, part, figure, holds } = finding
  const file = process.env['PROMISES_FINDINGS']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ ...finding, size: SIZE })}\n`)
  t.comment(`promise ${promise}${part === undefined ? '' : `, ${part}`}: ${figure}`)
  t.ok(holds, `promise ${promise}: ${figure}`)
}
