import { DECODED_PATH, LAST_VALUE, TEXT_ONLY, type ParityCase } from './parity.ts'
import type { WireResponse } from './transports.ts'

const get = (title: string, target: string, more: Partial<ParityCase> = {}): ParityCase => ({ title, method: 'GET', target, ...more })
const noise = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 31) % 256))

/** Requests that transports get wrong, for the echo app. */
export const ECHO_CASES: ParityCase[] = [
  get('a path', '/echo/a/b'),
  get('an encoded slash stays one', '/echo/a%2Fb', { not: DECODED_PATH }),
  get('an encoded letter stays one', '/echo/%41%7E', { not: DECODED_PATH }),
  get('an encoded percent sign', '/echo/100%25'),
  get('an encoded question mark and hash', '/echo/what%3Fis%23this', { not: DECODED_PATH }),
  get('an encoded space', '/echo/a%20b'),
  get('an encoded backslash', '/echo/a%5Cb'),
  get('unicode in the path', '/echo/Zo%C3%AB/%F0%9F%A6%8A'),
  get('a plus sign in the path', '/echo/a+b'),
  get('two slashes', '/echo//a'),
  get('two slashes in front', '//echo/a'),
  get('a slash at the end', '/echo/a/'),
  get('no query', '/echo/a'),
  get('a query', '/echo/a?b=c&d=e'),
  get('the same parameter twice', '/echo/a?b=1&b=2&b=3', { not: LAST_VALUE }),
  get('a comma in a parameter', '/echo/a?b=1,2'),
  get('an encoded ampersand and equals sign', '/echo/a?b=1%262%3D3'),
  get('an encoded parameter name', '/echo/a?%5Bb%5D=c'),
  get('unicode in the query', '/echo/a?name=Zo%C3%AB&fox=%F0%9F%A6%8A'),
  get('an encoded space in the query', '/echo/a?b=c%20d'),
  get('an encoded plus sign in the query', '/echo/a?b=c%2Bd'),
  get('a parameter without a value', '/echo/a?b='),
  get('headers', '/echo/a', { headers: [['Accept', 'text/html'], ['X-Custom', 'a b'], ['user-agent', 'test']] }),
  get('the same header twice', '/echo/a', { headers: [['X-Custom', 'a'], ['X-Custom', 'b']], not: [...LAST_VALUE, ...DECODED_PATH, 'Function URL'] }),
  get('cookies', '/echo/a', { headers: [['Cookie', 'a=1; b="x, y"; c=%20']] }),
  get('a correlation id', '/echo/a', { headers: [['X-Correlation-ID', 'abc-1']] }),
  { title: 'HEAD', method: 'HEAD', target: '/echo/a' },
  { title: 'OPTIONS', method: 'OPTIONS', target: '/echo/a' },
  { title: 'DELETE without a body', method: 'DELETE', target: '/echo/a' },
  { title: 'a text body', method: 'POST', target: '/echo/a', headers: [['Content-Type', 'application/json; charset=utf-8']], body: '{"name":"Zoë 🦊"}' },
  { title: 'an empty body', method: 'POST', target: '/echo/a', headers: [['Content-Type', 'application/json']], body: '' },
  { title: 'a binary body', method: 'POST', target: '/echo/a', headers: [['Content-Type', 'application/octet-stream']], body: noise, not: TEXT_ONLY },
  { title: 'a text body that is not UTF-8', method: 'POST', target: '/echo/a', headers: [['Content-Type', 'image/png']], body: Buffer.from([0x22, 0xff, 0xfe, 0x22]) },
  { title: 'a body of 4 MiB', method: 'PUT', target: '/echo/a', headers: [['Content-Type', 'application/octet-stream']], body: Buffer.alloc(4 * 1024 * 1024, noise), not: TEXT_ONLY },
  get('a method the path does not take', '/echo/a', { method: 'TRACE' }),
  get('a method Fastify does not route', '/echo/a', { method: 'PROPFIND' }),
  get('binary in the answer', '/binary'),
  get('an encoded answer', '/encoded'),
  get('one cookie in the answer', '/cookie'),
  get('two cookies in the answer', '/cookies', { not: LAST_VALUE }),
  get('no body in the answer', '/nothing'),
  get('a redirect', '/elsewhere'),
  get('unicode in the answer', '/unicode'),
  get('an answer of 5 MiB', `/large?bytes=${5 * 1024 * 1024}`, { not: ['load balancer', 'load balancer, lists'] }),
  get('an unknown path', '/nowhere')
]

/** What of an echo must be the same: all of it but the id that a request without one is given. */
export function echoed ({ status, headers, cookies, body }: WireResponse): object {
  const { 'x-correlation-id': correlationId, ...rest } = headers
  const text = body.length > 0 ? body.toString('latin1').replaceAll(correlationId ?? '', '<correlation id>') : ''
  return { status, headers: rest, cookies, hasCorrelationId: correlationId !== undefined, body: text.length > 10_000 ? text.length : text }
}
