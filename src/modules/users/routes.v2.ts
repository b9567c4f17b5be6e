import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type, type Static, type TObject } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { PreconditionFailed } from '../../shared/errors.ts'
import { addVary, ChangeHeaders, matchesEtag, preconditionIn } from '../../shared/http-cache.ts'
import { Problem, problem } from '../../shared/problem.ts'
import type { Expectation, User } from './contract.ts'
import { LastAdmin, UserConflict, UserNotFound } from './errors.ts'
import { IdParams, ReadHeaders, User as UserSchema, UserPatch } from './schemas.ts'

const tags = ['users']
const security = [{ bearer: [] }]
// For a flat resource, plain JSON and a merge patch (RFC 7396) mean the same. `null` would remove a property: none of these can be.
const consumes = ['application/merge-patch+json', 'application/json']

const UserAnswer = { ...UserSchema, headers: { etag: Type.String({ maxLength: 128, pattern: '^"[^"]*"$', description: 'Identifies this version of the user, for If-None-Match and If-Match', examples: ['"3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11.1"'] }) } }
const Unchanged = Type.Null({ description: 'Not changed since the ETag in If-None-Match', headers: UserAnswer.headers })
const missing = problem(UserNotFound, 'No such user, or another user\'s account')
const conflict = problem([UserConflict, LastAdmin], 'Conflicts with the current state of the resource')
const stale = problem(PreconditionFailed, 'The account is not in the state that If-Match or If-None-Match asks for; nothing was changed')
const Deleted = Type.Null({ description: 'Deleted' })

const READ = { 200: UserAnswer, 304: Unchanged, 401: Problem, 404: missing }
const UPDATE = { 200: UserAnswer, 400: Problem, 401: Problem, 403: Problem, 404: missing, 409: conflict, 412: stale }
const DELETE = { 204: Deleted, 400: Problem, 401: Problem, 404: missing, 409: conflict, 412: stale }

const ABOUT_READ = 'Send the `ETag` of an earlier answer as `If-None-Match` to get a 304 while nothing has changed.'
const ABOUT_UPDATE = 'A merge patch (RFC 7396): properties that it does not have stay as they are. Admins may also set `status` and `role`. With `If-Match`, another change in the meantime is a 412 and not overwritten.'
const ABOUT_DELETE = 'Erases the personal data, ends all sessions and frees the address.'

const ABOUT_EXPORT = 'One JSON document with the account and what each part of the service stores about it, read from the tables and not from the cache. It holds no secret: no token, code or hash. Mails are not part of it: what the service keeps of a mail names no user.'
const ABOUT_FILE = 'Everything stored about the account'
const EXPORT_HEADERS = { 'content-disposition': Type.String({ maxLength: 100, pattern: '^attachment; filename="[0-9a-f-]+\\.json"$', description: 'Asks a browser to save the document as a file', examples: ['attachment; filename="3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11.json"'] }) }

/** Contains the account's id as well: a browser's copy of one account must not be confirmed for another. */
const etagOf = ({ id, version }: User) => `"${id}.${version}"`

/** What a request's headers expect of the account that it changes. */
function expectedIn (headers: Static<typeof ChangeHeaders>): Expectation | undefined {
  const precondition = preconditionIn(headers)
  return precondition === undefined ? undefined : user => precondition(etagOf(user))
}

/** The serialized form of users that are sent again: readers of a cached record get the same frozen user. Saves 4 % of the CPU of a cached read. */
const bodies = new WeakMap<User, string>()

function bodyOf (reply: FastifyReply, user: User): string {
  let body = bodies.get(user)
  if (body === undefined) {
    body = reply.serializeInput(user, '200') as string
    if (Object.isFrozen(user)) bodies.set(user, body)
  }
  return body
}

function sendUser (reply: FastifyReply, user: User, ifNoneMatch?: string) {
  const etag = etagOf(user)
  // Only the client may store it, per token, and must revalidate it on each use.
  addVary(reply, 'Authorization')
  reply.header('etag', etag).header('cache-control', 'private, no-cache')
  return matchesEtag(ifNoneMatch, etag) ? reply.code(304).send() : reply.type('application/json; charset=utf-8').send(bodyOf(reply, user))
}

/** The current version. `POST /v2/users` belongs to the auth module, because it sends a code. */
const routes: FastifyPluginAsyncTypebox<{ exportSchema: TObject }> = async function usersV2 (app, { exportSchema }) {
  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    app.get('/v2/users/me', {
      schema: { operationId: 'users.getMe', tags, summary: 'Read your own account', description: ABOUT_READ, security, headers: ReadHeaders, response: READ }
    }, async ({ user, headers }, reply) => sendUser(reply, await app.users.read(user, user.userId), headers['if-none-match']))

    app.get('/v2/users/me/export', {
      config: { limit: 'bulk' },
      schema: { operationId: 'users.export', tags, summary: 'Export everything stored about you', description: ABOUT_EXPORT, security, response: { 200: { ...exportSchema, description: ABOUT_FILE, headers: EXPORT_HEADERS }, 401: Problem } }
    }, async ({ user }, reply) => {
      const document = await app.users.exportOf(user)
      reply.header('content-disposition', `attachment; filename="${user.userId}.json"`)
      return document
    })

    app.get('/v2/users/:id', {
      schema: { operationId: 'users.get', tags, summary: 'Read an account; only admins may read other accounts', description: ABOUT_READ, security, params: IdParams, headers: ReadHeaders, response: READ }
    }, async ({ user, params, headers }, reply) => sendUser(reply, await app.users.read(user, params.id), headers['if-none-match']))

    app.patch('/v2/users/me', {
      schema: { operationId: 'users.updateMe', tags, summary: 'Change your own account', description: ABOUT_UPDATE, security, consumes, headers: ChangeHeaders, body: UserPatch, response: UPDATE }
    }, async ({ user, headers, body, id }, reply) => sendUser(reply, await app.users.update(user, user.userId, body, id, expectedIn(headers))))

    app.patch('/v2/users/:id', {
      schema: { operationId: 'users.update', tags, summary: 'Change an account; only admins may change other accounts', description: ABOUT_UPDATE, security, consumes, params: IdParams, headers: ChangeHeaders, body: UserPatch, response: UPDATE }
    }, async ({ user, params, headers, body, id }, reply) => sendUser(reply, await app.users.update(user, params.id, body, id, expectedIn(headers))))

    app.delete('/v2/users/me', {
      schema: { operationId: 'users.deleteMe', tags, summary: 'Delete your own account', description: ABOUT_DELETE, security, headers: ChangeHeaders, response: DELETE }
    }, async ({ user, headers, id }, reply) => {
      await app.users.remove(user, user.userId, id, expectedIn(headers))
      return await reply.code(204).send(null)
    })

    app.delete('/v2/users/:id', {
      schema: { operationId: 'users.delete', tags, summary: 'Delete an account; only admins may delete other accounts', description: ABOUT_DELETE, security, params: IdParams, headers: ChangeHeaders, response: DELETE }
    }, async ({ user, params, headers, id }, reply) => {
      await app.users.remove(user, params.id, id, expectedIn(headers))
      return await reply.code(204).send(null)
    })
  })
}
export default routes
