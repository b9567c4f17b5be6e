import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseEnv } from 'node:util'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { mailsIn, newDir, post, register, start } from './running.ts'

interface Sent { method?: string, path?: string, headers?: Record<string, string>, body?: string }

/** A request with exactly these headers, which fetch would not send. */
function ask (port: number, { method = 'GET', path = '/', headers = {}, body }: Sent): Promise<{ status: number, headers: Record<string, unknown>, body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers: { host: `localhost:${port}`, ...headers }, setHost: false }, answer => {
      text(answer).then(body => resolve({ status: answer.statusCode!, headers: answer.headers, body }), reject)
    })
    sent.once('upgrade', (answer, socket) => { socket.destroy(); resolve({ status: answer.statusCode!, headers: answer.headers, body: '' }) })
    sent.once('error', reject).end(method === 'POST' ? body : undefined)
  })
}

const portOf = (url: string | undefined) => Number(new URL(url ?? '').port)

const AMZ = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-date': '20260101T000000Z', authorization: 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/x/aws4_request, SignedHeaders=host, Signature=00' }
/** What a client that is no browser asks each port for, and a page would like to. */
const WANTED = {
  inbox: { path: '/api/email' },
  dynamodb: { method: 'POST', headers: { ...AMZ, 'x-amz-target': 'DynamoDB_20120810.ListTables' }, body: '{}' },
  sqs: { method: 'POST', headers: { ...AMZ, 'x-amz-target': 'AmazonSQS.ListQueues' }, body: '{}' }
} satisfies Record<string, Sent>

t.test('no port of npm start answers a foreign web page, and each goes on answering what is no page', async t => {
  const dir = newDir(t)
  const system = await start(t, dir)
  await register(system.api, system.inbox, 'ada@example.com')
  const env = parseEnv(readFileSync(join(dir, 'env'), 'utf8'))
  const ports = { inbox: portOf(system.inbox), dynamodb: portOf(env['AWS_ENDPOINT_URL_DYNAMODB']), sqs: portOf(env['AWS_ENDPOINT_URL_SQS']) }

  for (const [name, port] of Object.entries(ports)) {
    const wanted: Sent = WANTED[name as keyof typeof WANTED]
    const by = (headers: Record<string, string>, changes: Sent = {}) => ask(port, { ...wanted, ...changes, headers: { ...wanted.headers, ...headers } })
    const foreign: [why: string, answer: ReturnType<typeof ask>][] = [
      ['a page of another site', by({ origin: 'http://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' })],
      ['a page of another port of this machine', by({ origin: 'http://localhost:5173' })],
      ['a page of the same port under a secure scheme', by({ origin: `https://localhost:${port}` })],
      ['a page without an origin of its own', by({ origin: 'null' })],
      ['a name that leads here', by({ host: `evil.example:${port}` })],
      ['a name that leads here, with an origin to fit', by({ host: `evil.example:${port}`, origin: `http://evil.example:${port}`, 'sec-fetch-site': 'same-origin' })],
      ['a name that only looks like ours', by({ host: `localhost.evil.example:${port}` })],
      ['an address of this machine in the network', by({ host: `192.0.2.1:${port}` })],
      ['a picture or a script of another site', by({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' })],
      ['a frame of another site', by({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' })],
      ['a form of another site', by({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }, { method: 'POST' })],
      ['what a browser asks before', by({ origin: 'http://evil.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-amz-target' }, { method: 'OPTIONS' })],
      ['a body that waits for a go-ahead', by({ origin: 'http://evil.example', expect: '100-continue' }, { method: 'POST' })],
      ['a web socket', by({ origin: 'http://evil.example', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }, { method: 'GET', path: '/socket.io/?EIO=4&transport=websocket' })]
    ]
    for (const [why, answer] of foreign) {
      const { status, headers, body } = await answer
      t.equal(status, 403, `${name}: ${why}`)
      t.match(body, /^Refused: [^\n]+\n$/, `${name}: ${why}`)
      t.notOk('access-control-allow-origin' in headers, `${name}: ${why}`)
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`]) t.equal((await by({ host })).status, 200, `${name}: ${host}`)
    t.equal((await by({ origin: `http://localhost:${port}`, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })).status, 200, `${name}: its own pages`)
  }
  t.equal((await ask(ports.inbox, { headers: { accept: 'text/html', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' } })).status, 200, 'a link to the inbox can be followed')
  for (const name of ['dynamodb', 'sqs'] as const) t.equal((await ask(ports[name], { ...WANTED[name], headers: { ...WANTED[name].headers, host: `host.docker.internal:${ports[name]}` } })).status, 200, `${name}: a container`)

  const mails = (await mailsIn(system.inbox)).length
  const smtp = connect(portOf(env['SMTP_URL']), '127.0.0.1')
  // A browser does not wait for the greeting; the server ends that connection as well.
  const [greeting] = await once(smtp, 'data') as [Buffer]
  t.match(String(greeting), /^220 /)
  smtp.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n\r\nEHLO evil\r\nMAIL FROM:<a@evil.example>\r\nRCPT TO:<b@evil.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n')
  t.match(await text(smtp), /^(?:5\d\d|421) [^\n]*\n$/, 'the mail server ends the connection at a line of HTTP')
  t.equal((await mailsIn(system.inbox)).length, mails)
})

t.test('the API of npm start answers by its own names alone, and leaves origins to CORS_ORIGIN', async t => {
  const app = 'http://localhost:5173'
  const { api } = await start(t, newDir(t), { CORS_ORIGIN: app })
  const port = portOf(api)
  const live = (headers: Record<string, string>) => ask(port, { path: '/health/live', headers })
  for (const host of ['localhost', '127.0.0.1', '[::1]']) t.equal((await live({ host: `${host}:${port}` })).status, 200, host)
  for (const host of ['evil.example', `evil.example:${port}`, '192.0.2.1', 'localhost.evil.example']) {
    const { status, body } = await live({ host })
    t.equal(status, 403, host)
    t.match(body, /^Refused: Host [^\n]+ is not a name of this server\n$/)
  }
  t.match(await live({ origin: app }), { status: 200, headers: { 'access-control-allow-origin': app } })
  t.notOk('access-control-allow-origin' in (await live({ origin: 'http://evil.example' })).headers)
  t.equal((await post(`${api}/v2/users`, { email: 'ada@example.com', name: 'Ada' })).status, 202)
})

t.test('HOST and the host of PUBLIC_URL are names of the API too; where it listens on every address, each of them is', async t => {
  const [port, other] = [await freePort(), await freePort()]
  await start(t, newDir(t), { PORT: String(port), PUBLIC_URL: 'https://Users.example.com/api' })
  await start(t, newDir(t), { PORT: String(other), HOST: '0.0.0.0' })
  const status = async (port: number, host: string) => (await ask(port, { path: '/health/live', headers: { host } })).status
  t.equal(await status(port, 'users.example.com'), 200)
  t.equal(await status(port, '192.0.2.1'), 403)
  t.equal(await status(other, `192.0.2.1:${other}`), 200)
  t.equal(await status(other, 'evil.example'), 403)
})

t.test('HOST=localhost listens by both families of addresses, and both are guarded', async t => {
  const { api } = await start(t, newDir(t), { HOST: 'localhost' })
  t.equal((await ask(portOf(api), { path: '/health/live' })).status, 200)
  for (const host of ['127.0.0.1', '::1']) {
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      request({ host, port: portOf(api), path: '/health/live', headers: { host: 'evil.example' }, setHost: false }, ({ statusCode }) => resolve(statusCode)).once('error', (error: NodeJS.ErrnoException) => host === '::1' && error.code !== 'ECONNRESET' ? resolve(undefined) : reject(error)).end()
    })
    t.ok(answer === 403 || (host === '::1' && answer === undefined), `${host}: ${answer ?? 'this machine has no IPv6'}`)
  }
})
