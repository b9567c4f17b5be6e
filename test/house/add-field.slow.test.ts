import { Value } from '@sinclair/typebox/value'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { StoredUser } from '../../src/modules/users/schemas.ts'
import { failuresIn, makeScratch, ROOT, TYPES } from './scratch.ts'

const SCHEMAS = 'src/modules/users/schemas.ts'
const REGISTRATION = 'src/modules/users/registration.ts'
const SERVICE = 'src/modules/users/service.ts'
const PROFILE_TEST = 'test/modules/users/profile.test.ts'
const FIELD = 'nickname: Type.Optional(Type.String({ maxLength: 40 }))'

const inUser = (field: string): [string, string] => ['  locale: CanonicalLocale,\n  status: Status,\n', `  locale: CanonicalLocale,\n  ${field},\n  status: Status,\n`]
const inPatch = (field: string): [string, string] => ['  name: Type.Optional(PersonName),\n  locale: Type.Optional(Locale),\n  status: ', `  name: Type.Optional(PersonName),\n  locale: Type.Optional(Locale),\n  ${field},\n  status: `]

/** What the compiler says, by file. */
function refusals (output: string): Record<string, string> {
  const said: Record<string, string> = {}
  for (const [line, file] of output.matchAll(/^([^\s(]+)\(\d+,\d+\): error.*$/gm)) said[file!] = `${said[file!] ?? ''}${line}\n`
  return said
}

t.test('a field that is added to the schema of a user is stored, answered and announced by version 2, and not seen in version 1', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  scratch.edit({ [SCHEMAS]: [inUser(FIELD), inPatch(FIELD)] })
  const [types, documents, answers] = await Promise.all([scratch.run(TYPES), scratch.run(['scripts/openapi.ts']), scratch.run(['test/house/fixtures/nickname/nickname.ts'])])
  const said = refusals(types.output)
  t.same(Object.keys(said), [PROFILE_TEST], 'the compiler asks for one thing: a value to test the change with')
  t.match(said[PROFILE_TEST], "Property 'nickname' is missing")
  t.equal(answers.status, 0, failuresIn(answers.output))
  t.equal(documents.status, 0, documents.output)
  t.equal(scratch.read('docs/openapi/v1.json'), readFileSync(`${ROOT}/docs/openapi/v1.json`, 'utf8'), 'the document of version 1 is as before')
  t.match(scratch.read('docs/openapi/v2.json'), 'nickname')
})

t.test('the compiler names the files that have to know a field that every user has, and one that is changed and not stored', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  scratch.edit({ [SCHEMAS]: [inUser('motto: Type.String()'), inPatch(FIELD)] })
  const said = refusals((await scratch.run(TYPES)).output)
  t.match(said[REGISTRATION], "Property 'motto' is missing", 'where users are made')
  t.match(said[SERVICE], /nickname.*can't be used to index/s, 'where changes are stored')
})

// As the first version wrote them; such records are in the tables of today.
const FIRST_USER = { id: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', email: 'ada@example.com', name: 'Ada Lovelace', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: '2026-11-22T12:00:00.000Z', updatedAt: '2026-11-22T12:00:00.000Z', version: 1 }

t.test('a user that an earlier version stored can be read', async t => {
  const missing = [...Value.Errors(StoredUser, FIRST_USER)].map(({ path, message }) => `${path}: ${message}`)
  t.same(missing, [], `${SCHEMAS}: a field that stored users lack is optional there, or filled in by src/modules/users/repository.ts`)
})
