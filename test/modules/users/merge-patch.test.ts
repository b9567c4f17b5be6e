import { PutCommand } from '@aws-sdk/lib-dynamodb'
import fc from 'fast-check'
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { adminOf, bearerOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { workload } from '../../promise.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'silent' } })

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
interface Fields { [name: string]: Json }

const isObject = (value: Json | undefined): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The reference: the pseudo-code of RFC 7396, section 2. */
function mergePatch (target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  const merged: Fields = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name]
    else merged[name] = mergePatch(merged[name], value)
  }
  return merged
}

/** Values of each field that a patch may have, in their normal form, and other ones. `mail` can only be removed. */
const GOOD: Record<string, fc.Arbitrary<Json>> = {
  name: fc.constantFrom('Ada', 'Ada King', 'José', '山田太郎', '👩 Ada', 'null', '__proto__'),
  locale: fc.constantFrom('en', 'de', 'pt-BR', 'zh-Hant-TW'),
  status: fc.constantFrom('ACTIVE', 'SUSPENDED'),
  role: fc.constantFrom('user', 'admin'),
  mail: fc.constant(null)
}
const OTHER: Record<string, fc.Arbitrary<Json>> = {
  name: fc.constantFrom<Json[]>(null, '', 'A', 7, true, [], ['Ada'], {}, { name: 'Ada' }),
  locale: fc.constantFrom<Json[]>(null, '', 'not a tag', 1, ['en'], {}),
  status: fc.constantFrom<Json[]>(null, '', 'PENDING_VERIFICATION', 'active', {}, ['ACTIVE']),
  role: fc.constantFrom<Json[]>(null, 'root', 'Admin', 1, {}),
  mail: fc.constantFrom<Json[]>({}, { status: 'bounced' }, { since: null }, 'bounced', false)
}
/** Fields of a user that no patch may have, whatever their value, and names that are no field. */
const FOREIGN = fc.dictionary(
  fc.constantFrom('id', 'email', 'version', 'createdAt', 'updatedAt', 'avatarUrl', 'sessions', 'Name', 'name ', '', '__proto__', 'constructor', 'toString'),
  fc.constantFrom<Json[]>(null, 1, 'x', {}, { name: null }),
  { minKeys: 1, maxKeys: 2 }
)

interface Case { patch: Json, isAllowed: boolean }
const good = fc.record(GOOD, { requiredKeys: [] }).map((patch): Case => ({ patch: patch as Fields, isAllowed: true }))
const patches = fc.oneof(
  { weight: 5, arbitrary: good },
  { weight: 2, arbitrary: fc.tuple(good, fc.constantFrom(...Object.keys(OTHER))).chain(([{ patch }, name]) => OTHER[name]!.map((value): Case => ({ patch: { ...patch as Fields, [name]: value }, isAllowed: false }))) },
  { weight: 2, arbitrary: fc.tuple(good, FOREIGN).map(([{ patch }, foreign]): Case => ({ patch: Object.assign(Object.create(null) as Fields, patch, foreign), isAllowed: false })) },
  // RFC 7396 would put such a value in place of the user.
  { weight: 1, arbitrary: fc.constantFrom<Json[]>(null, 1, 'Ada', true, [], [{ name: 'Ada' }]).map((patch): Case => ({ patch, isAllowed: false })) }
)

t.test('a patch changes a user as RFC 7396 says, or not at all', async t => {
  const numRuns = workload({ short: 25, full: 2_000 })
  const headers = await bearerOf(app, (await adminOf(app)).userId)
  let allowed = 0
  let refused = 0
  await fc.assert(fc.asyncProperty(fc.boolean(), fc.array(fc.tuple(patches, fc.constantFrom('application/merge-patch+json', 'application/json')), { minLength: 1, maxLength: 6 }), async (isMarked, steps) => {
    const userId = randomUUID()
    const at = '2026-11-22T12:00:00.000Z'
    await app.dynamodb.send(new PutCommand({
      TableName: app.config.USERS_TABLE,
      Item: { userId, kind: 'user', email: `${userId}@example.com`, name: 'Ada', locale: 'de', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...(isMarked ? { mail: { status: 'bounced', since: at } } : {}) }
    }))
    const url = `/v2/users/${userId}`
    const read = async () => (await app.inject({ url, headers })).json<Fields>()
    let before = await read()
    for (const [{ patch, isAllowed }, type] of steps) {
      const answer = await app.inject({ method: 'PATCH', url, headers: { ...headers, 'content-type': type }, payload: JSON.stringify(patch) })
      const after = await read()
      const { version, updatedAt, ...fields } = after
      const { version: previous, updatedAt: last, ...expected } = isAllowed ? mergePatch(before, patch) as Fields : before
      const isChanged = !isDeepStrictEqual(fields, Object.fromEntries(Object.entries(before).filter(([name]) => name !== 'version' && name !== 'updatedAt')))
      const seen = JSON.stringify({ patch, type, status: answer.statusCode, body: answer.body, before, after })
      if (answer.statusCode !== (isAllowed ? 200 : 400)) throw new Error(`another status: ${seen}`)
      if (!isDeepStrictEqual(fields, expected)) throw new Error(`another user: ${seen}`)
      if (isAllowed && !isDeepStrictEqual(answer.json(), after)) throw new Error(`the answer is not what is read afterwards: ${seen}`)
      if (version !== Number(previous) + (isChanged ? 1 : 0) || isChanged !== (updatedAt !== last)) throw new Error(`another version: ${seen}`)
      if (isAllowed) allowed++
      else refused++
      before = after
    }
  }), { numRuns })
  t.comment(`${numRuns} users, ${allowed} patches, ${refused} that are none`)
  t.ok(allowed > numRuns / 2 && refused > numRuns / 4, `${allowed} patches, ${refused} that are none`)
})

t.test('a user without rights has no say in what only admins may change, not even beside what they may', async t => {
  const userId = randomUUID()
  const at = '2026-11-22T12:00:00.000Z'
  await app.dynamodb.send(new PutCommand({ TableName: app.config.USERS_TABLE, Item: { userId, kind: 'user', email: `${userId}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1 } }))
  const headers = await bearerOf(app, userId, 'user')
  await fc.assert(fc.asyncProperty(good, async ({ patch }) => {
    const forAdmins = 'status' in (patch as Fields) || 'role' in (patch as Fields)
    const before = (await app.inject({ url: '/v2/users/me', headers })).json<Fields>()
    const { statusCode } = await app.inject({ method: 'PATCH', url: '/v2/users/me', headers, payload: patch as Fields })
    const after = (await app.inject({ url: '/v2/users/me', headers })).json<Fields>()
    if (statusCode !== (forAdmins ? 403 : 200)) throw new Error(`${JSON.stringify(patch)}: ${statusCode}`)
    if (forAdmins && !isDeepStrictEqual(after, before)) throw new Error(`${JSON.stringify(patch)} was refused, and changed something`)
  }), { numRuns: workload({ short: 20, full: 500 }) })
})
