import type { Test } from 'tap'
import { albEvent, albListsEvent, functionUrlEvent, httpDomainEvent, httpEvent, httpStageEvent, overLambda, restBinaryEvent, restEvent, type Send, type ToEvent, type WireRequest, type WireResponse } from './transports.ts'

/** Every kind of event that carries a request, the stages that are called like one of our own paths included. */
export const EVENTS: Record<string, ToEvent> = {
  'REST API': restEvent,
  'REST API, stage v1': request => restEvent(request, 'v1'),
  'REST API, binary bodies': restBinaryEvent,
  'HTTP API': httpEvent,
  'HTTP API, stage v1': httpStageEvent('v1'),
  'HTTP API, stage v1 under a domain of its own': httpDomainEvent('v1'),
  'Function URL': functionUrlEvent,
  'load balancer': albEvent,
  'load balancer, lists': albListsEvent
}

/** What this event cannot carry as it was sent: not a fault of ours, and not compared. */
export interface ParityCase extends WireRequest {
  title: string
  not?: (keyof typeof EVENTS)[]
}

/** These pass bytes on only where their type is a binary one of the template. */
export const TEXT_ONLY = ['REST API', 'REST API, stage v1']
/** What comes from these is answered uncompressed. */
export const UNCOMPRESSED = [...TEXT_ONLY, 'REST API, binary bodies']
/** An HTTP API decodes the path: what was %2F or %41 is lost before we see it. */
export const DECODED_PATH = ['HTTP API', 'HTTP API, stage v1', 'HTTP API, stage v1 under a domain of its own']
/** Without lists a load balancer, as with a REST API's single values, keeps the last of several. */
export const LAST_VALUE = ['load balancer']

/**
 * Sends each request over the socket and as every kind of event: same status, headers, cookies and body.
 *
 * @param wrap what happens to each request on its way
 * @returns the statuses that were seen, in order
 */
export async function sameEverywhere (t: Test, cases: ParityCase[], socket: Send, invoke: (event: unknown) => Promise<unknown>, comparable: (response: WireResponse) => object, wrap = (send: Send) => send) {
  const statuses = new Set<number>()
  for (const { title, not = [], ...request } of cases) {
    const response = await wrap(socket)(request)
    statuses.add(response.status)
    const expected = comparable(response)
    for (const [event, toEvent] of Object.entries(EVENTS)) {
      if (not.includes(event)) continue
      t.same(comparable(await wrap(overLambda(invoke, toEvent))(request)), expected, `${title}, ${event}`)
    }
  }
  return [...statuses].sort()
}

/** What of an answer must be the same: all of it but ids, tokens, signatures, dates, versions, counters and durations. */
export function served ({ status, headers, cookies, body }: WireResponse): object {
  const text = body.toString()
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<date>')
    .replace(/person\d{6}/g, '<person>')
    .replace(/"(accessToken|refreshToken)":"[^"]+"/g, '"$1":"<token>"')
    .replace(/"(Policy|X-Amz-Date|X-Amz-Signature|key|nextCursor)":"[^"]*"/g, '"$1":"<signed>"')
    .replace(/"(latencyMs|version)":[\d.]+/g, '"$1":"<number>"')
  // The seconds until a limit ends go by between two requests.
  const counted = ['ratelimit', 'ratelimit-remaining', 'ratelimit-reset', 'x-correlation-id', 'location', 'etag', ...(status === 429 ? ['retry-after'] : [])]
  return {
    status,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => {
      if (name === 'content-length') return [name, Number(value) === body.length ? 'right' : value]
      return [name, counted.includes(name) && value !== 'abc-1' ? '<some>' : value]
    })),
    cookies,
    body: text
  }
}
