import fp from 'fastify-plugin'
import t from 'tap'
import { createQueue } from '../src/modules/email/queue.ts'
import { buildTestApp, pump, signIn, startEngines } from './helper.ts'

/**
 * What stays in this app when the e-mail worker has become a service of its own: the same name, the same contract, and
 * nothing behind it but the queue.
 */
const emailClient = fp(async function email (app) {
  const queue = createQueue(app.sqs, app.config.EMAIL_QUEUE_URL)
  app.decorate('email', {
    enqueue: (message, correlationId) => queue.send(message, correlationId),
    handleBatch: async () => { throw new Error('mails are sent by another service') }
  })
}, { name: 'email', dependencies: ['config', 'sqs'] })

const engines = await startEngines(t)
// Without a mail server, and with a table that does not exist: this app has nothing to do with either.
const app = await buildTestApp(t, engines, { email: emailClient, env: { EMAIL_TABLE: 'AnotherServicesTable', SMTP_URL: 'smtp://127.0.0.1:1' } })
const worker = await buildTestApp(t, engines)
// The streams go to this app, the queue to the other service.
const whole = Object.assign(Object.create(app) as typeof app, { email: worker.email })

t.test('with the e-mail module extracted, the app sends no mail itself', async t => {
  await t.rejects(app.email.handleBatch({ Records: [] }), { message: 'mails are sent by another service' })
})

t.test('with the e-mail module extracted, people register, sign in, read, change and delete as before', async t => {
  const { accessToken, refreshToken, user } = await signIn(whole, engines, 'extracted@example.com', 'Ada')
  t.match(user, { email: 'extracted@example.com', name: 'Ada', status: 'ACTIVE' })
  const headers = { authorization: `Bearer ${accessToken}` }
  t.match((await app.inject({ url: '/v2/users/me', headers })).json(), { id: user.id })
  t.match((await app.inject({ method: 'PATCH', url: '/v2/users/me', headers, payload: { name: 'Grace' } })).json(), { name: 'Grace', version: user.version + 1 })
  t.match((await app.inject({ url: `/v1/users/${user.id}`, headers })).json(), { success: true, data: { userId: user.id, name: 'Grace' } })
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken } })).statusCode, 200)

  const known = await app.inject({ method: 'POST', url: '/v2/users', payload: { email: 'extracted@example.com', name: 'Somebody' } })
  t.equal(known.statusCode, 202)
  await pump(whole, engines)
  const challenge = await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'extracted@example.com' } })
  t.equal(challenge.statusCode, 202)
  await pump(whole, engines)
  const first = await app.inject({ method: 'POST', url: '/v1/users', payload: { email: 'second@example.com', name: 'Edsger' } })
  t.equal(first.statusCode, 201)
  await pump(whole, engines)
  t.same(engines.mails.map(mail => [mail.to].flat()[0]?.value[0]?.address), ['extracted@example.com', 'extracted@example.com', 'extracted@example.com', 'second@example.com'])

  t.equal((await app.inject({ method: 'DELETE', url: '/v2/users/me', headers })).statusCode, 204)
  await pump(whole, engines)
  t.equal((await app.inject({ url: '/v2/users/me', headers })).statusCode, 401)
})

t.test('with the e-mail module extracted, health and documents are as before', async t => {
  t.equal((await app.inject('/health/ready')).statusCode, 200)
  for (const url of ['/openapi/v1.json', '/openapi/v2.json']) t.same((await app.inject(url)).json(), (await worker.inject(url)).json())
})
