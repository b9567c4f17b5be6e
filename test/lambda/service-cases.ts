import { DECODED_PATH, LAST_VALUE, TEXT_ONLY, UNCOMPRESSED, type ParityCase } from './parity.ts'
import type { Send } from './transports.ts'

const KIBIBYTE = 1024
const JSON_TYPE: [string, string] = ['Content-Type', 'application/json']

/**
 * Requests for the service, most of which change nothing. `{n}` in a body stands for a number of its own.
 *
 * @param socket sends what must have been sent before
 */
export async function serviceCases (socket: Send, { token, userId }: { token: string, userId: string }): Promise<ParityCase[]> {
  const bearer: [string, string] = ['Authorization', `Bearer ${token}`]
  const { headers: { etag } } = await socket({ method: 'GET', target: '/v2/users/me', headers: [bearer] })
  const get = (target: string, headers: [string, string][] = [], more: Partial<ParityCase> = {}): ParityCase =>
    ({ title: `GET ${target.slice(0, 60)}`, method: 'GET', target, headers, ...more })
  const post = (title: string, target: string, body: Buffer | string, headers = [JSON_TYPE], more: Partial<ParityCase> = {}): ParityCase =>
    ({ title, method: 'POST', target, headers, body, ...more })
  const repeated = post('a repetition of a request', '/v2/auth/challenges', '{"email":"repeater@example.com"}', [JSON_TYPE, ['Idempotency-Key', '"8e03978e-40d5-43e8-bc93-6894a57f9324"']])
  await socket(repeated)
  return [
    repeated,
    { ...repeated, title: 'another request under its key', body: '{"email":"other@example.com"}' },
    post('two keys', '/v2/users', '{"email":"person{n}@example.com","name":"Ab"}', [JSON_TYPE, ['Idempotency-Key', '"a"'], ['Idempotency-Key', '"b"']], { not: LAST_VALUE }),
    get('/v2/users/me', [bearer, JSON_TYPE, ['If-Match', '"of-another-version"']], { title: 'a change of another version', method: 'PATCH', body: '{"name":"Another Name"}' }),
    get('/v2/users/me', [bearer, ['Content-Type', 'text/plain']], { title: 'a change of another type', method: 'PATCH', body: 'x' }),
    get('/health/live'),
    get('/health/ready'),
    get('/v1/health'),
    get('/openapi/v1.json'),
    get('/openapi/v2.json'),
    get('/schemas/'),
    get('/schemas/user.registered.v1.json'),
    get('/schemas/none.json'),
    get('/asyncapi.json'),
    get('/.well-known/jwks.json'),
    get('/.well-known/oauth-authorization-server'),
    get('/verify'),
    get('/docs'),
    get('/'),
    get('/nowhere', [['X-Correlation-Id', 'abc-1']]),
    get('/nowhere', [['X-Correlation-Id', 'not fit to be one']]),
    get('/v1/nowhere'),
    get('/v2/users/me'),
    get('/v2/users/me', [bearer]),
    get('/v2/users/me?a=1&a=2&b=%F0%9F%A6%8A', [bearer]),
    // An event with this goes through @fastify/aws-lambda.
    get("/v2/users/me?name=O'Neil", [bearer]),
    get('/v2/users/me', [['authorization', 'Bearer not-a-token']]),
    get('/v2/users/me', [bearer, ['If-None-Match', etag!]], { title: 'a profile that has not changed' }),
    get('/v2/users/me', [bearer], { title: 'HEAD of a profile', method: 'HEAD' }),
    get(`/v1/users/${userId}`, [bearer]),
    get(`/v2/users/${userId}`, [bearer]),
    get(`/v2/users/${userId}/`, [bearer]),
    get(`/v2/users/a%2F${userId}`, [bearer], { not: DECODED_PATH }),
    get('/v2/users/%E2%82%AC%F0%9F%A6%8A', [bearer]),
    get('/v2/users/%zz', [bearer], { not: DECODED_PATH }),
    get(`/v2/users/${'x'.repeat(300)}`, [bearer]),
    get('/health/live', [], { title: 'a method this path does not take', method: 'DELETE' }),
    get('/v2/users', [['Origin', 'https://app.example.com'], ['Access-Control-Request-Method', 'POST'], ['Access-Control-Request-Headers', 'content-type']], { title: 'a pre-flight', method: 'OPTIONS' }),
    get('/v2/users', [['Origin', 'https://evil.example'], ['Access-Control-Request-Method', 'POST']], { title: 'a pre-flight from elsewhere', method: 'OPTIONS' }),
    get('/health/live', [['Origin', 'https://app.example.com'], ['Cookie', 'a=1; b=2']], { title: 'a request of a browser' }),
    post('a registration', '/v2/users', '{"email":"person{n}@example.com","name":"Zoë 佐藤 🦊"}'),
    post('a registration with a charset', '/v2/users', '{"email":"person{n}@example.com","name":"Ab"}', [['content-type', 'application/json; charset=utf-8']]),
    post('a v1 registration', '/v1/users', '{"email":"Person{n}@Example.com","name":"Zoë 佐藤 🦊"}'),
    post('an address that exists', '/v1/users', '{"email":"reader@example.com","name":"Again"}'),
    post('a challenge', '/v2/auth/challenges', '{"email":"asker{n}@example.com"}'),
    post('a wrong code', '/v2/auth/tokens', `{"grantType":"code","challengeId":"${userId}","code":"00000000"}`),
    post('a body that breaks every rule', '/v2/users', '{"email":"no address","name":"x","extra":true}'),
    post('the same for v1', '/v1/users', '{"email":"no address","name":"x","extra":true}'),
    post('a body that is not JSON', '/v2/users', '{"email":'),
    post('an empty body', '/v2/users', ''),
    post('a body of another type', '/v2/users', 'email=a', [['Content-Type', 'application/x-www-form-urlencoded']]),
    post('a body of no type', '/v2/users', '{}', []),
    post('a binary body', '/v2/users', Buffer.from([0x7b, 0xff, 0x00, 0x7d]), [['Content-Type', 'application/octet-stream']], { not: TEXT_ONLY }),
    post('JSON that is not UTF-8', '/v2/users', Buffer.from('{"email":"zo\xeb@example.com","name":"Zo\xeb"}', 'latin1')),
    post('a body in another charset', '/v2/users', '{"email":"a@example.com","name":"Ab"}', [['Content-Type', 'application/json; charset=iso-8859-1']]),
    post('a body that says it is compressed', '/v1/users', '{"email":"a@example.com","name":"Ab"}', [JSON_TYPE, ['Content-Encoding', 'gzip']]),
    get('/v2/users/me', [JSON_TYPE], { title: 'a DELETE without a body that names its type', method: 'DELETE' }),
    get('/v2/users/%zz', [['Origin', 'https://app.example.com'], ['Access-Control-Request-Method', 'GET']], { title: 'a pre-flight for a malformed path', method: 'OPTIONS', not: DECODED_PATH }),
    get('/%76%31/nowhere', [], { not: DECODED_PATH }),
    get('/openapi/v2.json', [['Accept-Encoding', 'gzip, br']], { title: 'a compressed document', not: UNCOMPRESSED }),
    post('a prototype in the body', '/v2/users', '{"email":"a@example.com","name":"Ab","__proto__":{"role":"admin"}}'),
    post('a body at the limit', '/v2/users', '{}'.padEnd(64 * KIBIBYTE)),
    post('a body over the limit', '/v2/users', '{}'.padEnd(64 * KIBIBYTE + 1)),
    post('a body as large as Lambda takes', '/v2/users', Buffer.alloc(4.4 * KIBIBYTE * KIBIBYTE, 0xff), [['Content-Type', 'application/octet-stream']], { not: TEXT_ONLY }),
    get('/v2/users/me', [bearer, JSON_TYPE], { title: 'a change', method: 'PATCH', body: '{"name":"Another Name"}', not: [] })
  ]
}
