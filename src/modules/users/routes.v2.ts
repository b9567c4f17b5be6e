import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Forbidden } from '../../shared/errors.ts'
import { Problem, problem } from '../../shared/problem.ts'
import { ChallengeTicket, User as UserSchema } from '../../shared/schemas.ts'
import { accessibleUser, isAdmin } from './access.ts'
import type { User } from './contract.ts'
import { UserConflict, UserNotFound } from './errors.ts'
import { IdParams, ReadHeaders, Registration, UserPatch } from './schemas.ts'

const tags = ['users']
const security = [{ bearer: [] }]
const missing = problem(UserNotFound, 'No such user, or another user\'s account')
const conflict = problem(UserConflict, 'Conflicts with the current state of the resource')

const etagOf = (user: User) => `"${user.version}"`

/** Whether one of the ETags in If-None-Match is the given one; weak comparison, RFC 9110 §13.1.2. */
function matches (ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag))
}

function sendUser (request: FastifyRequest, reply: FastifyReply, user: User) {
  // Stored by nobody but the client, and by it only to ask whether it has changed.
  reply.header('etag', etagOf(user)).header('cache-control', 'private, no-cache')
  return request.method !== 'PATCH' && matches(request.headers['if-none-match'], etagOf(user)) ? reply.code(304).send() : reply.send(user)
}

/** Today's contract. */
const routes: FastifyPluginAsyncTypebox = async function usersV2 (app) {
  app.post('/users', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'users.create',
      tags,
      summary: 'Register',
      description: 'Mails a code to the address: a welcome to a new one, "you already have an account" to a known one. The answer is the same for both.',
      body: Registration,
      response: { 202: ChallengeTicket, 400: Problem }
    }
  }, async (request, reply) => {
    reply.code(202)
    return await app.users.requestRegistration(request.body, request.id)
  })

  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    for (const { path, suffix, whose, params } of [
      { path: '/users/me', suffix: 'Me', whose: 'your own account', params: undefined },
      { path: '/users/:id', suffix: '', whose: 'an account, your own unless you are an admin', params: IdParams }
    ]) {
      const target = async (request: FastifyRequest) => await accessibleUser(app.users, request.user, (request.params as { id?: string }).id ?? 'me')
      const common = { tags, security, ...(params === undefined ? {} : { params }) }
      const etag = { headers: { etag: Type.String({ description: 'Version of the user, for If-None-Match' }) } }

      app.get(path, {
        schema: {
          ...common,
          operationId: `users.get${suffix}`,
          summary: `Read ${whose}`,
          headers: ReadHeaders,
          response: { 200: { ...UserSchema, ...etag }, 304: Type.Null({ description: 'Not changed since the ETag in If-None-Match', ...etag }), 401: Problem, 404: missing }
        }
      }, async (request, reply) => sendUser(request, reply, await target(request)))

      app.patch(path, {
        schema: {
          ...common,
          operationId: `users.update${suffix}`,
          summary: `Change ${whose}`,
          description: 'Admins may also set `status` and `role`.',
          // RFC 7396: for flat resources of required properties a merge patch is what JSON already says.
          consumes: ['application/merge-patch+json', 'application/json'],
          body: UserPatch,
          response: { 200: { ...UserSchema, ...etag }, 400: Problem, 401: Problem, 403: Problem, 404: missing, 409: conflict }
        }
      }, async (request, reply) => {
        const { id } = await target(request)
        const { status, role } = request.body
        if ((status !== undefined || role !== undefined) && !await isAdmin(app.users, request.user)) throw new Forbidden()
        return sendUser(request, reply, await app.users.update(id, request.body, request.id))
      })

      app.delete(path, {
        schema: {
          ...common,
          operationId: `users.delete${suffix}`,
          summary: `Delete ${whose}`,
          description: 'Personal data is erased, sessions end, the address is free again.',
          response: { 204: Type.Null({ description: 'Deleted' }), 401: Problem, 404: missing, 409: conflict }
        }
      }, async (request, reply) => {
        const { id } = await target(request)
        await app.users.remove(id, request.id)
        return await reply.code(204).send(null)
      })
    }
  })
}
export default routes
