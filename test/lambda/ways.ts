import type { HttpEvent } from '../../src/lambda/http-event.ts'
import type { createHttp } from '../../src/lambda/http.ts'
import type { HttpAnswer } from '../../src/lambda/serve.ts'

export type Http = ReturnType<typeof createHttp>

/** What of an answer two ways must have in common: all of it but ids that the app made, and the date. */
function comparable (answer: HttpAnswer, given: string | undefined): object {
  const lists = { ...answer.multiValueHeaders }
  const headers: Record<string, string | undefined> = { ...answer.headers, ...Object.fromEntries(Object.entries(lists).map(([name, [value]]) => [name, value])) }
  const id = headers['x-correlation-id']
  const { date } = headers
  // A date that an app has set is a date of its own.
  const isNow = date !== undefined && Math.abs(Date.parse(date) - Date.now()) < 60_000
  const replaced = (text: string) => {
    const withoutId = id === undefined || id === given ? text : text.replaceAll(id, '<id>')
    return isNow ? withoutId.replaceAll(date, '<now>') : withoutId
  }
  return JSON.parse(replaced(JSON.stringify(answer))) as object
}

/** Whether two answers are the same, and how they differ. */
export interface Comparison { status: number, difference?: { first: object, second: object } }

/** The answer to an event, or why the invocation fails: an event that is damaged may have no path to answer for. */
async function outcome (http: Http, event: string, given: string | undefined): Promise<{ status: number, seen: object }> {
  try {
    const answer = await http(JSON.parse(event) as HttpEvent)
    return { status: answer.statusCode, seen: comparable(answer, given) }
  } catch (error) {
    return { status: 0, seen: { error: (error as Error).message } }
  }
}

/** Sends an event both ways, as Lambda parses it: each gets objects of its own. */
export async function compareWays (first: Http, second: Http, event: string): Promise<Comparison> {
  const given = /"x-correlation-id":\s*\[?"([^"]+)"/i.exec(event)?.[1]
  const [a, b] = [await outcome(first, event, given), await outcome(second, event, given)]
  return { status: a.status, ...(isSame(a.seen, b.seen) ? {} : { difference: { first: a.seen, second: b.seen } }) }
}

/** Same names and values; the order of names does not matter. */
function isSame (a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => Object.hasOwn(b, name) && isSame(a[name as never], b[name as never]))
}
