import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { createDirectoryRepository } from '../../../src/modules/users/directory-repository.ts'
import { createExport } from '../../../src/modules/users/export.ts'
import { adminOf } from '../../accounts.ts'
import { startUsers, TABLE } from './service-support.ts'

const { app, stored, address, former } = await startUsers(t)
const now = () => new Date('2026-11-26T12:00:00.600Z')
const seconds = Math.floor(now().getTime() / 1000)
const newExport = () => createExport({ directory: createDirectoryRepository({ dynamodb: app.dynamodb, table: TABLE, publicUrl: app.config.PUBLIC_URL, now }), now })

t.test('an export has what the table has of an account, and what other modules add', async t => {
  const { schema, collect, contribute } = newExport()
  const [over, open] = [former(address(), { until: seconds }), former(address(), { until: seconds + 1 })]
  const user = await stored({ formerAddresses: [over, open], sessions: { since: 2 } })
  const { formerAddresses, sessions, ...account } = user
  const admin = await adminOf(app)
  await app.users.update(admin, user.id, { role: 'admin' }, 'corr')
  const [line] = (await app.users.audit(admin, user.id, {})).items
  contribute('letters', { schema: Type.Array(Type.String()), collect: async ({ id, ...rest }) => [id, 'sessions' in rest ? 'sessions' : 'none'] })
  t.strictSame(await collect(user), {
    exportedAt: '2026-11-26T12:00:00.600Z',
    account,
    adminActions: [{ at: line!.at, action: 'update', changed: ['role'], role: 'admin' }],
    formerAddresses: [{ email: open.email, until: '2026-11-26T12:00:01.000Z' }],
    letters: [user.id, 'none']
  })
  const names = ['exportedAt', 'account', 'adminActions', 'formerAddresses', 'letters']
  t.same([Object.keys(schema.properties), schema.required], [names, names])
})

t.test('each part has one module, whatever the export has already', async t => {
  const { contribute } = newExport()
  for (const name of ['account', 'adminActions', 'formerAddresses']) {
    t.throws(() => contribute(name, { schema: Type.String(), collect: async () => '' }), { message: `users: the export has two parts ${name}` })
  }
})

t.test('the documents say of the parts of this module what the schema does', async t => {
  const { components } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../docs/openapi/v2.json'), 'utf8'))
  for (const part of ['adminActions', 'formerAddresses']) {
    const { items: { $ref }, ...said } = components.schemas.UserExport.properties[part]
    const { items: { title }, ...made } = JSON.parse(JSON.stringify(newExport().schema.properties[part]))
    t.strictSame(made, said)
    t.equal($ref, `#/components/schemas/${title}`)
  }
})
