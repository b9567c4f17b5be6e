import { BenchError } from './bench.ts'
import type { Call } from './events.ts'

export interface Answer { statusCode: number, body: string }

/** What an answer must be: its status, and the fields of its body that are checked. A function decides about a field. */
export interface Expected {
  status: number
  body: Record<string, unknown>
}

/** The difference between a body and what is expected of it; undefined = none. */
function difference (found: unknown, expected: unknown, path = 'body'): string | undefined {
  if (typeof expected === 'function') return (expected as (value: unknown) => boolean)(found) ? undefined : `${path} is ${JSON.stringify(found)}`
  if (typeof expected === 'object' && expected !== null) {
    if (typeof found !== 'object' || found === null) return `${path} is ${JSON.stringify(found)}`
    for (const [key, value] of Object.entries(expected)) {
      const problem = difference((found as Record<string, unknown>)[key], value, `${path}.${key}`)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  return found === expected ? undefined : `${path} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`
}

/**
 * Checks an answer. What answers wrongly is not timed.
 *
 * @throws {BenchError} with the contender, the request and what is wrong
 */
export function checkAnswer (contender: string, { method, path }: Pick<Call, 'method' | 'path'>, answer: Partial<Answer> | undefined, expected: Expected): void {
  const fail = (problem: string): never => { throw new BenchError(`${contender} answers ${method} ${path} wrongly: ${problem}`) }
  if (answer?.statusCode !== expected.status) return fail(`the status is ${answer?.statusCode}, not ${expected.status}, with the body ${String(answer?.body).slice(0, 200)}`)
  if (Object.keys(expected.body).length === 0) return
  let body: unknown
  try {
    body = JSON.parse(answer.body ?? '')
  } catch {
    return fail('the body is not JSON')
  }
  const problem = difference(body, expected.body)
  if (problem !== undefined) fail(problem)
}
