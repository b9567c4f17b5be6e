import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readFileSync } from 'node:fs'
import t from 'tap'
import * as schemas from '../../../src/modules/auth/schemas.ts'

type Json = Record<string, unknown>

interface Document {
  components: { schemas: Record<string, Json> }
  paths: Record<string, Record<string, { parameters?: { name: string, schema: Json }[] }>>
}
const [v1, v2] = ['v1', 'v2'].map(version => JSON.parse(readFileSync(new URL(`../../../docs/openapi/${version}.json`, import.meta.url), 'utf8')) as Document) as [Document, Document]

/** A schema as a document shows it: named schemas in it are components of their own. */
function documented (value: unknown, isRoot = true): unknown {
  if (Array.isArray(value)) return value.map(one => documented(one, false))
  if (typeof value !== 'object' || value === null) return value
  const { $ref, title, ...rest } = value as Json
  if (typeof $ref === 'string' && $ref.endsWith('#')) return { $ref: `#/components/schemas/${$ref.slice(0, -1)}` }
  if (typeof title === 'string' && !isRoot) return { $ref: `#/components/schemas/${title}` }
  const shown = Object.entries({ ...rest, ...($ref === undefined ? {} : { $ref }), ...(title === undefined ? {} : { title }) })
    .filter(([key, value]) => !/^(?:\$id|x-\w+|mapping)$/.test(key) && !(key === 'format' && value === 'int32'))
  return Object.fromEntries(shown.map(([key, value]) => [key, documented(value, false)]))
}
const plain = (schema: object) => documented(JSON.parse(JSON.stringify(schema)) as unknown)

t.test('what the schemas say is what the documents say', async t => {
  const { ChallengeTicket, ChallengeRequest, EmailChangeRequest, Verification, TokenRequest, Revocation, Tokens, ExportedSession, ExportedCode, SessionView, Sessions, JsonWebKeySet, ServerMetadata, TokensV1 } = schemas
  const [CodeGrant, RefreshGrant] = (TokenRequest as unknown as { oneOf: [object, object] }).oneOf
  for (const [name, schema] of Object.entries({ ChallengeTicket, ChallengeRequest, EmailChangeRequest, Verification, TokenRequest, CodeGrant, RefreshGrant, Revocation, Tokens, ExportedSession, ExportedCode, Session: SessionView, Sessions, JsonWebKeySet, ServerMetadata })) {
    t.strictSame(plain(schema), documented(v2.components.schemas[name]), name)
  }
  for (const [name, schema] of Object.entries({ ChallengeRequest, TokenRequest, CodeGrant, RefreshGrant, SignedInUserV1: TokensV1.properties.user })) t.strictSame(plain(schema), documented(v1.components.schemas[name]), `${name}, version 1`)
  const { properties } = v1.components.schemas['TokensV1'] as { properties: { data: Json } }
  t.strictSame(plain(TokensV1), documented(properties.data))
  const parameter = v2.paths['/v2/users/me/sessions/{id}']!['delete']!.parameters!.find(({ name }) => name === 'id')!
  const { description: _description, examples: _examples, ...id } = plain(schemas.SessionParams.properties.id) as Json
  t.strictSame(documented(parameter.schema), id)
})

t.test('other modules refer to schemas by their names, and an error says in words what was expected', async t => {
  const { Registration, ChallengeTicket, Tokens, Verification } = schemas
  t.strictSame(JSON.parse(JSON.stringify(Registration)), { $ref: 'Registration#' })
  t.same([ChallengeTicket.$id, Tokens.$id], ['ChallengeTicket', 'Tokens'])
  t.same(Object.values(Verification.properties).map(property => (property as Json)['x-expected'] as unknown), ['a UUID in lower case', '8 digits'])
})

const retired = { hash: 'h', salt: 's', at: 1 }
const session = { userId: 'u', sid: 's', currentHash: 'h', retired: [retired], familyKey: 'k', createdAt: 'c', lastUsedAt: 'l', expiresAt: 1, device: 'd' }
const { userId: _userId, currentHash: _currentHash, retired: _retired, familyKey: _familyKey, ...summary } = session
const change = { email: 'e', sid: 's' }
const requested = { challengeId: 'c', expiresAt: 'x', email: 'e', userId: 'u', network: 'n' }

/** What is stored, complete, and what may be missing. */
const STORED: Record<string, [schema: TSchema, complete: Json, optional: string[]]> = {
  'a challenge': [schemas.Challenge, { userId: 'u', address: 'a', emailChange: change, undoes: 'email-change' }, ['emailChange', 'undoes']],
  'the change in a challenge': [schemas.Challenge.properties.emailChange, change, []],
  'a retired token': [schemas.RetiredToken, retired, []],
  'a session': [schemas.Session, session, ['device']],
  'what a list shows of a session': [schemas.SessionSummary, summary, ['device']],
  'a request for a code': [schemas.AUTH_ENTRIES['code.requested'], { ...requested, registration: { name: 'n', locale: 'l' }, invitedBy: 'i' }, ['registration', 'invitedBy']],
  'the registration in it': [schemas.AUTH_ENTRIES['code.requested'].properties.registration, { name: 'n', locale: 'l' }, []],
  'a request to change an address': [schemas.AUTH_ENTRIES['email-change.requested'], { ...requested, sid: 's' }, []]
}

t.test('what is stored is read if it is whole, and refused if a part is missing or is something else', async t => {
  for (const [what, [schema, complete, optional]] of Object.entries(STORED)) {
    t.equal(Value.Check(schema, complete), true, what)
    for (const key of Object.keys(complete)) {
      const { [key]: _, ...without } = complete
      t.equal(Value.Check(schema, without), optional.includes(key), `${what} without ${key}`)
      for (const other of [null, [1], true]) t.equal(Value.Check(schema, { ...complete, [key]: other }), false, `${what} with another ${key}`)
    }
  }
  t.equal(Value.Check(schemas.Challenge, { userId: 'u', address: 'a', undoes: 'registration' }), false)
})
