import type { Context } from 'aws-lambda'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { buildTestApp, signIn, startEngines } from '../helper.ts'
import { overLambda, overSocket, restEvent, type Send } from '../lambda/transports.ts'

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
