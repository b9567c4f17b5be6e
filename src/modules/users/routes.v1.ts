import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { basePathOf } from '../../shared/base-path.ts'
import { Envelope, Failure, failure, success } from '../../shared/envelope.ts'
import { preferredLocale } from '../../shared/locale.ts'
import type { User } from './contract.ts'
import { EmailTaken, LastAdmin, UserConflict, UserNotFound } from './errors.ts'
import { CreatedV1, NamePatchV1, RegistrationV1, UserIdParamsV1, UserV1 } from './schemas.ts'

const tags = ['users']
const security = [{ bearer: [] }]

const emailTaken = failure(EmailTaken, 'The address already has an account')
const missing = failure(UserNotFound, 'No such user, or another user\'s account')
const conflict = failure(UserConflict, 'Conflicts with the current state of the resource')
const undeletable = failure([UserConflict, LastAdmin], 'Conflicts with the current state of the resource')

const UserEnvelope = Envelope(UserV1, 'UserV1')

function present ({ id: userId, email, name, status, createdAt, updatedAt }: User) {
  return success({ userId, email, name, status, createdAt, updatedAt })
}

/** The article's contract, frozen. */
const routes: FastifyPluginAsyncTypebox = async function usersV1 (app) {
  const base = basePathOf(app.config.PUBLIC_URL)

  app.post('/v1/users', {
    config: { limit: 'mail' },
    schema: {
      operationId: 'v1.users.create',
      tags,
      summary: 'Register',
      description: 'Creates a pending account and mails a code to the address.',
      body: RegistrationV1,
      response: { 201: { ...Envelope(CreatedV1, 'UserCreatedV1'), headers: { location: Type.String({ maxLength: 256, format: 'uri-reference', description: 'Path of the new user', examples: ['/v1/users/3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] }) } }, 400: Failure, 409: emailTaken }
    }
  }, async (request, reply) => {
    const locale = preferredLocale(request.headers['accept-language'])
    const { id, email, name } = await app.users.register({ ...request.body, locale }, request.id)
    reply.code(201).header('location', `${base}/v1/users/${id}`)
    return success({ userId: id, email, name })
  })

  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    app.get('/v1/users/:userId', {
      schema: { operationId: 'v1.users.get', tags, summary: 'Read a user', description: 'Users read their own account; admins read every account.', security, params: UserIdParamsV1, response: { 200: UserEnvelope, 401: Failure, 404: missing } }
    }, async ({ user, params }) => present(await app.users.read(user, params.userId)))

    app.patch('/v1/users/:userId', {
      schema: { operationId: 'v1.users.update', tags, summary: 'Change the name', description: 'Users change their own name; admins change every name.', security, params: UserIdParamsV1, body: NamePatchV1, response: { 200: UserEnvelope, 400: Failure, 401: Failure, 404: missing, 409: conflict } }
    }, async ({ user, params, body, id }) => present(await app.users.update(user, params.userId, body, id)))

    app.delete('/v1/users/:userId', {
      schema: { operationId: 'v1.users.delete', tags, summary: 'Delete the account', description: 'Erases the personal data, ends all sessions and frees the address.', security, params: UserIdParamsV1, response: { 204: Type.Null(), 401: Failure, 404: missing, 409: undeletable } }
    }, async ({ user, params, id }, reply) => {
      await app.users.remove(user, params.userId, id)
      return await reply.code(204).send(null)
    })
  })
}
export default routes
