import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Failure, failure } from '../../shared/envelope.ts'
import { accessibleUser } from './access.ts'
import type { User } from './contract.ts'
import { EmailTaken, UserConflict, UserNotFound } from './errors.ts'
import { CreatedV1, NamePatchV1, Registration, UserIdParams, UserV1 } from './schemas.ts'

const tags = ['users']
const security = [{ bearer: [] }]
const taken = failure(EmailTaken, 'The address has an account')
const missing = failure(UserNotFound, 'No such user, or another user\'s account')
const conflict = failure(UserConflict, 'Conflicts with the current state of the resource')

function present ({ id: userId, email, name, status, createdAt, updatedAt }: User) {
  return { success: true as const, data: { userId, email, name, status, createdAt, updatedAt } }
}

/** The article's contract, frozen. */
const routes: FastifyPluginAsyncTypebox = async function usersV1 (app) {
  app.post('/users', {
    config: { limit: 'strict' },
    schema: {
      operationId: 'v1.users.create',
      tags,
      summary: 'Register',
      description: 'Creates a pending account and mails a code to the address.',
      body: Registration,
      response: { 201: { ...CreatedV1, headers: { location: Type.String({ description: 'Path of the new user' }) } }, 400: Failure, 409: taken }
    }
  }, async (request, reply) => {
    const { id, email, name } = await app.users.register(request.body, request.id)
    reply.code(201).header('location', `/v1/users/${id}`)
    return { success: true as const, data: { userId: id, email, name } }
  })

  await app.register(async function authenticated (app) {
    const scoped = app.withTypeProvider<import('@fastify/type-provider-typebox').TypeBoxTypeProvider>()
    scoped.addHook('onRequest', app.authenticate)

    scoped.get('/users/:userId', {
      schema: { operationId: 'v1.users.get', tags, summary: 'Read a user', security, params: UserIdParams, response: { 200: UserV1, 401: Failure, 404: missing } }
    }, async (request) => present(await accessibleUser(app.users, request.user, request.params.userId)))

    scoped.patch('/users/:userId', {
      schema: { operationId: 'v1.users.update', tags, summary: 'Change the name', security, params: UserIdParams, body: NamePatchV1, response: { 200: UserV1, 400: Failure, 401: Failure, 404: missing, 409: conflict } }
    }, async (request) => {
      const { id } = await accessibleUser(app.users, request.user, request.params.userId)
      return present(await app.users.update(id, request.body, request.id))
    })

    scoped.delete('/users/:userId', {
      schema: { operationId: 'v1.users.delete', tags, summary: 'Delete the account', security, params: UserIdParams, response: { 204: Type.Null(), 401: Failure, 404: missing, 409: conflict } }
    }, async (request, reply) => {
      const { id } = await accessibleUser(app.users, request.user, request.params.userId)
      await app.users.remove(id, request.id)
      return await reply.code(204).send(null)
    })
  })
}
export default routes
