import { EVENTS } from './parity.ts'
import type { WireRequest } from './transports.ts'

export interface Random {
  /** an integer from 0, less than `below` */
  below (below: number): number
  of<T> (values: readonly T[]): T
}

/** Reproducible numbers (mulberry32). */
export function createRandom (seed: number): Random {
  let state = seed >>> 0
  function below (limit: number): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  return { below, of: values => values[below(values.length)]! }
}

const ROOTS = ['/raw/', '/raw/', '/raw/', '/echo/', '/answer/json', '/answer/three-cookies', '/answer/bytes-that-are-no-text', '/answer/wrong-length', '/cookie', '/binary', '/small', '/read/iterated', '/v1/', '/']
const PIECES = ['a', 'b', 'users', '1', '%41', '%2F', '%2e', '%2E%2e', '..', '.', '/', '//', '%', '%zz', '%c3%a9', '%00', ' ', '+', '-', '_', '~', '!', '$', '&', '\'', '(', ')', '*', ',', ';', '=', ':', '@', '"', '<', '>', '{', '}', '|', '^', '`', '[', ']', '\\', '#', '?', '\t', '\r\n', 'é', '🦊', '\ud800', '\uFFFD', '\u00a0', '\u2028', '\u0000', '\u007f', 'x'.repeat(300)]
const NAMES = ['accept', 'Accept', 'accept-encoding', 'accept-version', 'authorization', 'connection', 'Content-Encoding', 'content-length', 'Content-Type', 'content-type', 'cookie', 'Cookie', 'expect', 'host', 'Host', 'if-none-match', 'origin', 'set-cookie', 'transfer-encoding', 'upgrade', 'User-Agent', 'x-a', 'X-A', 'x-apigateway-event', 'x-correlation-id', 'x-forwarded-for', 'x-forwarded-host', '__proto__', 'constructor', '', ' ', 'é', 'x:y']
const VALUES = ['', ' ', 'a', 'b', 'a, b', '"a"', '*', '*/*', '0', '3', '100-continue', 'chunked', 'close', 'keep-alive', 'text/plain', 'application/json', 'application/json; charset=utf-8', 'a=1', 'a=1; b=2', '203.0.113.9', 'é', '🦊', 'a\r\nb: c', '\u0000', '1.2.3', 'x'.repeat(2000)]
const METHODS = ['GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY', 'CONNECT', 'BREW', 'get', '']
const BODIES = [undefined, undefined, '', 'a', '{"a":1}', 'é🦊', '\uFFFD', '\ud800', Buffer.from([0, 255, 254, 10]), Buffer.alloc(70_000, 'ab')]

const many = <T>(random: Random, most: number, make: () => T): T[] => Array.from({ length: random.below(most + 1) }, make)

function randomRequest (random: Random): WireRequest {
  // Most pieces of most targets are plain, so that most requests reach a route.
  const pieces = random.below(3) > 0 ? PIECES.slice(0, 6) : PIECES
  const text = (most: number) => many(random, most, () => random.of(pieces)).join('')
  const query = random.below(2) === 0 ? '' : `?${many(random, 4, () => `${text(2)}${random.of(['=', '=', ''])}${text(3)}`).join('&')}`
  const body = random.of(BODIES)
  return {
    method: random.of(METHODS),
    target: `${random.of(ROOTS)}${random.of(['', text(4)])}${query}`,
    headers: many(random, 6, () => [random.of(NAMES), random.of(VALUES)]),
    ...(body === undefined ? {} : { body })
  }
}

const LISTS = ['headers', 'multiValueHeaders', 'queryStringParameters', 'multiValueQueryStringParameters', 'cookies', 'body', 'isBase64Encoded', 'pathParameters', 'resource', 'rawQueryString', 'path', 'rawPath']
const DAMAGE = [null, '', 'a', {}, [], 0, true, { a: 'b' }, { a: ['b', 'c'] }, { a: null }, ['a', 'b']]

/** An event of any kind, as JSON: one in eight is damaged, as only a hand-written one is. */
export function randomEvent (random: Random): string {
  const event = random.of(Object.values(EVENTS))(randomRequest(random)) as Record<string, unknown>
  if (random.below(8) === 0) {
    const name = random.of(LISTS)
    if (name in event) event[name] = random.of(DAMAGE)
  }
  return JSON.stringify(event)
}
