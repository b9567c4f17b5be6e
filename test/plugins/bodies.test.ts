import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { Context } from 'aws-lambda'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, TABLES } from '../engines.ts'
import { httpEvent, overLambda, overSocket, restEvent, type Send } from '../lambda/transports.ts'
import { report, workload } from '../promise.ts'

const engines = await startEngines(t)

const app = await buildTestApp(t, engines)
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo
const handler = createDispatch(app)
const invoke = (event: unknown) => handler(event, {} as Context)
const sends: Record<string, Send> = { socket: overSocket(port), event: overLambda(invoke, restEvent) }

const body = JSON.stringify({ email: 'jose@example.com', name: 'José Muñoz' })
// One address gets five codes an hour.
let n = 0
const bodyOfAnother = () => body.replace('jose@', `jose-${++n}@`)
const detailOf = (answer: { body: Buffer }) => (JSON.parse(answer.body.toString()) as { detail: string, code: string, errors: { pointer: string }[] })

for (const [transport, send] of Object.entries(sends)) {
  const post = (contentType: string | undefined, content: Buffer | string, headers: [string, string][] = []) =>
    send({ method: 'POST', target: '/v2/users', headers: [...(contentType === undefined ? [] : [['Content-Type', contentType] as [string, string]]), ...headers], body: content })

  t.test(`${transport}: a body that is not UTF-8 is 400, with or without a charset`, async t => {
    for (const type of ['application/json', 'application/json; charset=utf-8']) {
      for (const bytes of [Buffer.from(body, 'latin1'), Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]), Buffer.from(body, 'utf16le'), Buffer.concat([Buffer.from(body), Buffer.from([0xc3])])]) {
        const answer = await post(type, bytes)
        t.equal(answer.status, 400)
        t.same([detailOf(answer).code, detailOf(answer).detail], ['BODY_MALFORMED', 'The body is not valid UTF-8'])
      }
    }
  })

  t.test(`${transport}: a charset other than UTF-8 is 415 and named, UTF-8 is accepted however it is written`, async t => {
    for (const type of ['application/json; charset=utf-8', 'application/json;charset=UTF-8', 'application/json; charset="utf-8"', 'application/json; Charset=utf8', 'application/json; profile=x', 'application/json;', 'Application/JSON']) t.equal((await post(type, bodyOfAnother())).status, 202, type)
    for (const [type, named] of [['application/json; charset=iso-8859-1', 'iso-8859-1'], ['application/json; charset=utf-16', 'utf-16'], ['application/json; charset=', ''], ['application/json; charset', ''], ['application/json; charset=utf-8; charset=latin1', 'latin1'], ['application/json; charset=us-ascii', 'us-ascii']] as const) {
      const answer = await post(type, body)
      t.equal(answer.status, 415, type)
      t.equal(detailOf(answer).detail, `The body must be in UTF-8; this one has the charset "${named}"`)
    }
  })

  t.test(`${transport}: any Content-Encoding is 415 and named`, async t => {
    for (const [coding, content] of [['gzip', gzipSync(body)], ['br', body], ['identity', body], ['', body], ['x"\\<y>', body]] as const) {
      const answer = await post('application/json', content, [['Content-Encoding', coding]])
      t.equal(answer.status, 415, coding)
      t.equal(detailOf(answer).detail, `The body must not be compressed; this one has Content-Encoding "${coding.replace(/["\\<>]/g, '')}"`)
    }
  })

  t.test(`${transport}: 415 says what was sent, short and harmless`, async t => {
    for (const [type, said] of [
      ['text/plain', 'this one is "text/plain"'],
      [undefined, 'this one has no content type'],
      ['text/html; x="<script>alert(1)</script>\\"', 'this one is "text/html; x=scriptalert(1)/script"'],
      [`text/${'x'.repeat(500)}`, `this one is "text/${'x'.repeat(55)}"`]
    ] as const) {
      const answer = await post(type, body)
      t.equal(answer.status, 415)
      t.equal(detailOf(answer).detail, `The body must be application/json; ${said}`)
    }
  })

  t.test(`${transport}: an escape for half a character is 400 and the field is named, one for a whole character is not`, async t => {
    for (const name of ['\\ud800x', 'x\\udc00', '\\udc00\\ud800', '\\uD83Dx\\uDE00', '\\\\\\ud83d']) {
      const answer = await post('application/json', `{"email":"half@example.com","name":"ab${name}"}`)
      t.equal(answer.status, 400, name)
      t.match(detailOf(answer), { code: 'VALIDATION_FAILED', detail: 'name must consist of whole characters', errors: [{ pointer: '/name' }] })
    }
    const deep = await post('application/json', '{"email":"half@example.com","a/b":[{"\\ud800":1},"\\ud800"],"name":"ab"}')
    t.match(detailOf(deep).errors.map(({ pointer }) => pointer).sort(), ['/a~1b/0', '/a~1b/1'])
    t.equal((await post('application/json', `${'['.repeat(30_000)}"\\ud800"${']'.repeat(30_000)}`)).status, 400)
    for (const name of ['\\ud83d\\ude00', '\\uD83D\\uDE00', '\\\\ud800', '😀']) t.equal((await post('application/json', `{"email":"whole-${++n}@example.com","name":"ab${name}"}`)).status, 202, name)
  })

  t.test(`${transport}: a request without a body is served whatever its headers say of one`, async t => {
    for (const [i, type] of ['application/json', 'text/plain', 'nonsense', '', 'multipart/form-data', 'application/json; charset=latin1', undefined].entries()) {
      const { accessToken, user } = await signIn(app, engines, `bodiless${i}${transport}@example.com`)
      const headers: [string, string][] = [['Authorization', `Bearer ${accessToken}`], ...(type === undefined ? [] : [['Content-Type', type] as [string, string]])]
      for (const [method, target, status] of [['GET', '/v2/users/me', 200], ['HEAD', '/v2/users/me', 200], ['GET', `/v1/users/${user.id}`, 200], ['GET', '/health/live', 200], ['DELETE', i % 2 === 0 ? '/v2/users/me' : `/v1/users/${user.id}`, 204]] as const) {
        t.equal((await send({ method, target, headers })).status, status, `${method} ${target} ${type}`)
      }
    }
  })

  t.test(`${transport}: Content-Length: 0 is no body`, async t => {
    const { accessToken } = await signIn(app, engines, `zero${transport}@example.com`)
    const answer = await send({ method: 'DELETE', target: '/v2/users/me', headers: [['Authorization', `Bearer ${accessToken}`], ['Content-Type', 'text/plain'], ['Content-Length', '0'], ['Content-Encoding', 'gzip']] })
    t.equal(answer.status, 204)
    const none = await send({ method: 'POST', target: '/v2/users', headers: [['Content-Length', '0'], ['Content-Type', 'application/json']] })
    t.same([none.status, detailOf(none).detail], [400, 'The body is empty; expected JSON'])
  })

  t.test(`${transport}: a body that a route has no use for is still of a type we read`, async t => {
    const { accessToken } = await signIn(app, engines, `useless${transport}@example.com`)
    const remove = (type: string, content: string | Buffer) => send({ method: 'DELETE', target: '/v2/users/me', headers: [['Authorization', `Bearer ${accessToken}`], ['Content-Type', type]], body: content })
    t.equal((await remove('text/plain', 'x')).status, 415)
    t.equal((await remove('application/json', '{')).status, 400)
    t.equal((await remove('application/json', '{}')).status, 204)
  })

  t.test(`${transport}: a route reads the types that its document lists`, async t => {
    const { accessToken } = await signIn(app, engines, `types${transport}@example.com`)
    const patch = (type: string) => send({ method: 'PATCH', target: '/v2/users/me', headers: [['Authorization', `Bearer ${accessToken}`], ['Content-Type', type]], body: '{"name":"Ada King"}' })
    for (const type of ['application/merge-patch+json', 'application/json', 'application/merge-patch+json; charset=utf-8']) t.equal((await patch(type)).status, 200, type)
    const answer = await patch('application/json-patch+json')
    t.same([answer.status, detailOf(answer).detail], [415, 'The body must be application/merge-patch+json or application/json; this one is "application/json-patch+json"'])
    t.equal((await post('application/merge-patch+json', body)).status, 415, 'and no other route does')
  })
}

t.test('an event whose body is null, empty or missing has no body', async t => {
  for (const [i, bodyOf] of [{ body: null }, { body: '' }, { body: undefined }].entries()) {
    const { accessToken } = await signIn(app, engines, `event${i}@example.com`)
    const event = (request: Parameters<typeof restEvent>[0]) => ({ ...restEvent(request), ...bodyOf, isBase64Encoded: i === 1 })
    const send = overLambda(invoke, event)
    const answer = await send({ method: 'DELETE', target: '/v2/users/me', headers: [['Authorization', `Bearer ${accessToken}`], ['Content-Type', 'application/json']] })
    t.equal(answer.status, 204)
  }
})

t.test('a chunked body that turns out to be empty is no body', async t => {
  for (const [i, type] of ['application/json', 'text/plain', 'nonsense'].entries()) {
    const { accessToken } = await signIn(app, engines, `chunked${i}@example.com`)
    const socket = connect(port, '127.0.0.1')
    socket.write(`DELETE /v2/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${accessToken}\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`)
    t.match(await text(socket), /^HTTP\/1\.1 204 /, type)
  }
})

/** How a client may write the type of a body, ours and others. */
const TYPES = ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"', 'application/json; charset=utf-8; charset=utf-8', 'application/json;', 'application/json; charset=utf-16le', 'application/json; charset=latin1',
  'application/merge-patch+json', 'application/problem+json', 'text/json', 'text/plain', 'text/plain; application/json', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'application/octet-stream', 'application/json, text/plain', '*/*', '', undefined]

/** Bodies that no schema of a registration allows, however lenient their reader is. Each has the marker. */
const HOSTILE: Record<string, (marker: string) => Buffer | string> = {
  'a field of no document': marker => `{"email":"${marker}@example.com","name":"${marker}","role":"admin"}`,
  'a second name that is empty': marker => `{"email":"${marker}@example.com","name":"${marker}","name":""}`,
  'a second address that is none': marker => `{"email":"${marker}@example.com","name":"${marker}","email":"${marker}"}`,
  'a second name under an escape': marker => `{"email":"${marker}@example.com","name":"${marker}","n\\u0061me":[]}`,
  '__proto__ with a role': marker => `{"email":"${marker}@example.com","name":"${marker}","__proto__":{"role":"admin"}}`,
  '__proto__ under an escape': marker => `{"email":"${marker}@example.com","name":"${marker}","\\u005f_proto__":{"role":"admin"}}`,
  '__proto__ with the fields': marker => `{"__proto__":{"email":"${marker}@example.com","name":"${marker}"}}`,
  'constructor.prototype': marker => `{"email":"${marker}@example.com","name":"${marker}","constructor":{"prototype":{"role":"admin"}}}`,
  'a byte order mark before a field of no document': marker => `\ufeff{"email":"${marker}@example.com","name":"${marker}","role":"admin"}`,
  'two byte order marks': marker => `\ufeff\ufeff{"email":"${marker}@example.com","name":"${marker}"}`,
  'UTF-16 with a byte order mark': marker => Buffer.from(`\ufeff{"email":"${marker}@example.com","name":"${marker}"}`, 'utf16le'),
  'UTF-32': marker => Buffer.from([...`{"email":"${marker}@example.com","name":"${marker}"}`].flatMap(c => [c.charCodeAt(0), 0, 0, 0])),
  'a comment': marker => `{"email":"${marker}@example.com","name":"${marker}"/* */}`,
  'two documents': marker => `{"email":"${marker}@example.com","name":"${marker}"}{}`,
  'a list of the body': marker => `[{"email":"${marker}@example.com","name":"${marker}"}]`,
  'the body as a text': marker => JSON.stringify(`{"email":"${marker}@example.com","name":"${marker}"}`),
  'a form': marker => `email=${marker}%40example.com&name=${marker}`,
  'a name that is a list': marker => `{"email":"${marker}@example.com","name":["${marker}"]}`,
  'a character that is overlong': marker => Buffer.concat([Buffer.from(`{"email":"${marker}@example.com","name":"${marker}`), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])
}

t.test('whatever its type, charset, keys and marks, no body gets past its schema', async t => {
  const everywhere: Record<string, Send> = { ...sends, 'HTTP event': overLambda(invoke, httpEvent) }
  const variants = TYPES.flatMap(type => Object.entries(HOSTILE).map(([title, make]) => ({ title, type, make })))
  const size = workload({ short: 60, full: 300 })
  // Spread over all of them: every type and every body is met.
  const chosen = Array.from({ length: size }, (_, i) => variants[Math.floor(i * variants.length / size)]!)
  const marked = (i: number) => `variant${String(i).padStart(5, '0')}`
  const passed: string[] = []
  let requests = 0
  for (const [i, { title, type, make }] of chosen.entries()) {
    for (const [transport, send] of Object.entries(everywhere)) {
      const answer = await send({ method: 'POST', target: '/v2/users', headers: type === undefined ? [] : [['Content-Type', type]], body: make(marked(i)) })
      requests++
      if (answer.status !== 400 && answer.status !== 415) passed.push(`${transport}: ${title} as ${type}: ${answer.status} ${answer.body}`)
    }
  }
  const stored = JSON.stringify(await Promise.all(TABLES.map(async TableName => (await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true }))).Items)), (_, value) => value instanceof Set ? [...value] : value as unknown)
  const kept = chosen.filter((_, i) => stored.includes(marked(i))).map(({ title, type }) => `${title} as ${type} is stored`)
  t.same([...passed, ...kept].slice(0, 10), [])
  // What would make the above empty: a service that refuses everything.
  for (const [transport, send] of Object.entries(everywhere)) {
    for (const mark of ['', '\ufeff']) t.equal((await send({ method: 'POST', target: '/v2/users', headers: [['Content-Type', 'application/json']], body: mark + bodyOfAnother() })).status, 202, transport)
  }
  report(t, { promise: 22, figure: `${size} variants (${TYPES.length} types, ${Object.keys(HOSTILE).length} bodies) × 3 transports: ${passed.length} of ${requests} accepted, ${kept.length} stored`, holds: passed.length === 0 && kept.length === 0 })
})
