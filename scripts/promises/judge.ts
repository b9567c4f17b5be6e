import type { Finding } from '../../test/promise.ts'
import type { Part } from './figures.ts'

/** A run of one test file. */
export interface Outcome {
  file: string
  findings: Finding[]
  /** tests that failed; one more than none when the run itself failed */
  failed: number
  seconds: number
}

/** What the runs of a promise's test files say about it. */
export function judge (promise: number, outcomes: Outcome[]): { parts: Part[], problem?: string } {
  const parts = outcomes.flatMap(({ findings }) => findings.filter(finding => finding.promise === promise))
    .map(({ part, figure, holds }) => ({ ...(part === undefined ? {} : { part }), figure, holds }))
  const problems = outcomes.flatMap(({ file, findings, failed }) => {
    // A figure that does not hold fails its own test. More failures may be about any promise of the file.
    const explained = findings.filter(({ holds }) => !holds).length
    if (failed > explained) return [`${file} has failures`]
    return findings.some(finding => finding.promise === promise) ? [] : [`${file} reported nothing`]
  })
  if (outcomes.length === 0) problems.push('no test reports it')
  return { parts, ...(problems.length === 0 ? {} : { problem: problems.join(', ') }) }
}
