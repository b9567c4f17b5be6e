import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import emailClient from '../src/modules/email/client.ts'
import { signIn } from './accounts.ts'
import { buildTestApp } from './app.ts'
import { startEngines } from './engines.ts'
import { mailFrom, pump } from './pump.ts'
import { deliverMails, sqsRecord } from './modules/email/records.ts'

const engines = await startEngines(t)
// Without a mail server, and with a table that does not exist: this app has nothing to do with either.
const app = await buildTestApp(t, engines, { email: emailClient, env: { EMAIL_TABLE: 'AnotherServicesTable', SMTP_URL: 'smtp://127.0.0.1:1' } })
const worker = await buildTestApp(t, engines)
// The streams go to this app, the queue to the other service.
mailFrom(app, worker)

t.test('what stays of the e-mail module imports nothing of it but its contract and schemas', async t => {
  const client = readFileSync(resolve(import.meta.dirname, '../src/modules/email/client.ts'), 'utf8')
  const imports = [...client.matchAll(/^import .* from '(.*)'$/gm)].map(([, from]) => from)
  t.same(imports.filter(from => from!.startsWith('.')).sort(), ['./contract.ts', './schemas.ts'])
})

t.test('with the e-mail module extracted, a message that is none cannot be queued', async t => {
  await t.rejects(app.email.enqueue({ type: 'WELCOME_EMAIL' } as never, 'x'), { code: 'EMAIL_MESSAGE_INVALID' })
})

t.test('with the e-mail module extracted, the app sends no mail itself', async t => {
  await t.rejects(deliverMails(app, { Records: [sqsRecord('x')] }), { message: 'Records of an unknown source: queue EmailQueue' })
})

t.test('with the e-mail module extracted, users register, sign in, read, change and delete as before', async t => {
  const { accessToken, refreshToken, user } = await signIn(app, engines, 'extracted@example.com', 'Ada')
  t.match(user, { email: 'extracted@example.com', name: 'Ada', status: 'ACTIVE' })
  const headers = { authorization: `Bearer ${accessToken}` }
  t.match((await app.inject({ url: '/v2/users/me', headers })).json(), { id: user.id })
  t.match((await app.inject({ method: 'PATCH', url: '/v2/users/me', headers, payload: { name: 'Grace' } })).json(), { name: 'Grace', version: user.version + 1 })
  t.match((await app.inject({ url: `/v1/users/${user.id}`, headers })).json(), { success: true, data: { userId: user.id, name: 'Grace' } })
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken } })).statusCode, 200)

  const known = await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'extracted@example.com', name: 'Ada' } })
  t.equal(known.statusCode, 202)
  await pump(app, engines)
  const challenge = await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'extracted@example.com' } })
  t.equal(challenge.statusCode, 202)
  await pump(app, engines)
  const first = await app.inject({ method: 'POST', url: '/v1/users', payload: { email: 'second@example.com', name: 'Edsger' } })
  t.equal(first.statusCode, 201)
  await pump(app, engines)
  t.same(engines.mails.map(mail => [mail.to].flat()[0]?.value[0]?.address), ['extracted@example.com', 'extracted@example.com', 'extracted@example.com', 'second@example.com'])

  t.equal((await app.inject({ method: 'DELETE', url: '/v2/users/me', headers })).statusCode, 204)
  await pump(app, engines)
  t.equal((await app.inject({ url: '/v2/users/me', headers })).statusCode, 401)
})

t.test('with the e-mail module extracted, health and documents are as before', async t => {
  t.equal((await app.inject('/health/ready')).statusCode, 200)
  for (const url of ['/openapi/v1.json', '/openapi/v2.json']) t.same((await app.inject(url)).json(), (await worker.inject(url)).json())
})
