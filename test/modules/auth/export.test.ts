import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { contributeParts } from '../../../src/modules/auth/export.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { repositoryAt, TABLE } from './support.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
/** in seconds since the epoch */
const AT = 1795348800

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const repository = repositoryAt(app, { now: NOW })
const put = (Item: object) => app.dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...Item } }))

interface Part { schema: { maxItems?: number, description?: string }, collect: (user: { id: string, email: string }) => Promise<unknown> }
const parts: Record<string, Part> = {}
contributeParts({ users: { contribute: ((name: string, part: Part) => { parts[name] = part }) as never }, repository, keys: app.keys })
const collect = (name: string, id: string, email = 'ada@example.com') => parts[name]!.collect({ id, email })

t.test('the parts are those of the document', async t => {
  t.same(Object.keys(parts), ['sessions', 'codes'])
  const { components: { schemas: { UserExport } } } = JSON.parse(readFileSync(new URL('../../../docs/openapi/v2.json', import.meta.url), 'utf8')) as { components: { schemas: { UserExport: { properties: Record<string, Part['schema']> } } } }
  for (const [name, { schema: { maxItems, description } }] of Object.entries(parts)) {
    t.ok(maxItems)
    t.match(UserExport.properties[name], { maxItems, description })
  }
})

t.test('a user’s sessions are in it without their secrets', async t => {
  const [id, sid] = [newId(), newId()]
  t.same(await collect('sessions', id), [])
  const session = { createdAt: '2026-11-20T12:00:00.000Z', lastUsedAt: '2026-11-21T12:00:00.000Z', device: 'App/1' }
  await put({ pk: `user#${id}`, sk: `session#${sid}`, ...session, expiresAt: AT + 60, currentHash: 'h', familyKey: 'k', retired: [] })
  t.same(await collect('sessions', id), [{ id: sid, ...session, expiresAt: '2026-11-22T12:01:00.000Z' }])
})

t.test('the codes of the mailbox are in it, the newest hundred, with what is known of one that is open', async t => {
  const [id, open] = [newId(), newId()]
  const at = (i: number) => new Date(NOW.getTime() - i * 1000).toISOString()
  const codes = Array.from({ length: 103 }, (_, i) => `${at(i)} ${i === 1 ? open : newId()}`)
  await put({ pk: `codes#${app.keys.pseudonym('ada@example.com')}`, sk: 'all', codes })
  await repository.openChallenge({ challengeId: open, userId: id, address: 'an address', expiresAt: AT + 60 })
  await repository.takeTry(open, 'a try')
  const expected = Array.from({ length: 100 }, (_, i) => ({ requestedAt: at(i), ...(i === 1 ? { open: { expiresAt: '2026-11-22T12:01:00.000Z', tries: 1 } } : {}) }))
  t.same(await collect('codes', id, 'ada+shop@example.com'), expected)
  t.same(await collect('codes', id, 'eve@example.com'), [])
})
