import Fastify from 'fastify'
import t from 'tap'
import users from '../../../src/modules/users/index.ts'
import { newId } from '../../../src/shared/ids.ts'
import { adminOf, bearerOf } from '../../accounts.ts'
import { startEventBus } from '../../event-bus.ts'
import { pump } from '../../pump.ts'
import { startUsers } from './service-support.ts'

const bus = await startEventBus(t)
const { engines, app, stored, address } = await startUsers(t, { ...bus.env, ADMIN_EMAILS: 'chief@example.com', PUBLIC_URL: 'https://users.example.com' })
const root = await adminOf(app)

t.test('the module stands on others, and answers with the settings of the app, by its routes and to other modules', async t => {
  await t.rejects(async () => { await Fastify().register(users).ready() }, { message: /'config' of plugin 'users'/ })
  const { id, email } = await stored()
  await app.users.setAvatar(id, { path: '/avatars/a', order: 1 }, 'c')
  const shown = { id, email, avatarUrl: 'https://users.example.com/avatars/a' }
  t.match(await app.users.getFresh(id), shown)
  t.match(await app.users.batchGet(root, [id]), { items: [shown], missing: [] })
  t.match(await app.users.list(root, { email }), { items: [shown], nextCursor: null })
  t.match(await app.users.exportOf({ userId: id }), { account: shown, adminActions: [] })
  t.same(await app.users.audit(root, id, {}), { items: [], nextCursor: null })
  const page = await app.users.list(root, { limit: 1 })
  t.match(await app.users.list(root, { limit: 1, ...(page.nextCursor === null ? {} : { cursor: page.nextCursor }) }), { items: Array })
  const chief = await stored({ email: 'chief@example.com' })
  t.match(await app.users.verify({ userId: chief.id, challengeId: 'x', isOf: () => true }, 'c'), { role: 'admin' })
  t.match(await app.users.invite(root, { email: address(), name: 'Grace', locale: 'en' }, { id: newId(), startedAt: new Date() }, 'c'), { id: String })
  await pump(app, engines)
  t.match(bus.eventsOf(id), [{ type: 'user.updated', data: { changed: ['avatarUrl'] } }])
  t.ok(app.logLines.some(line => line['UsersRegistered'] === 1))

  // Its routes are there, in each version, and its part of the documents.
  const headers = await bearerOf(app, id, 'user')
  for (const url of [`/v1/users/${id}`, '/v2/users/me', '/v2/users/me/export']) t.equal((await app.inject({ url, headers })).statusCode, 200, url)
  t.match((await app.inject({ url: '/v2/users/me/export', headers })).json(), { account: { id }, adminActions: [], formerAddresses: [] })
  t.equal((await app.inject({ url: '/v2/users', headers })).statusCode, 403)
  t.same((await app.inject('/schemas/')).json().schemas.map(({ type }: { type: string }) => type).sort(), ['user.deleted', 'user.email-changed', 'user.registered', 'user.suspended', 'user.updated', 'user.verified'])
  t.match((await app.inject('/openapi/v2.json')).json().tags.find(({ name }: { name: string }) => name === 'users'), { description: 'Accounts and profiles' })
})
