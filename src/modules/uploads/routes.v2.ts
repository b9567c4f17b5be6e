import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Problem, problem } from '../../shared/problem.ts'
import { AvatarNotFound, UploadsDisabled } from './errors.ts'
import { AvatarParams, AvatarRequest, Upload } from './schemas.ts'
import { REDIRECT_REUSE } from './service.ts'

const tags = ['avatars']
const security = [{ bearer: [] }]

const disabled = problem(UploadsDisabled, 'This service has no bucket for avatars')

/** The current version, and the address of the pictures. */
const routes: FastifyPluginAsyncTypebox = async function uploadsV2 (app) {
  app.get('/avatars/:userId/:avatarId', {
    schema: {
      operationId: 'avatars.get',
      tags,
      summary: 'Show an avatar',
      description: 'Redirects to the picture. `avatarUrl` of a user leads here; use it as it is, for example in `<img src>`. It needs no token: the URL cannot be guessed, and ends with the avatar. The `Location` is valid for five minutes.',
      params: AvatarParams,
      response: {
        302: Type.Null({ description: 'The picture', headers: { location: Type.String({ maxLength: 4096, format: 'uri', description: 'A link to the picture, valid for five minutes' }) } }),
        404: problem([AvatarNotFound, UploadsDisabled], 'No such avatar, or an earlier one'),
        503: Problem
      }
    }
  }, async ({ params }, reply) => {
    const link = await app.uploads.linkTo(params.userId, params.avatarId)
    // The page that shows a picture may be on another origin.
    return await reply.header('cache-control', `public, max-age=${REDIRECT_REUSE}`).header('cross-origin-resource-policy', 'cross-origin').redirect(link, 302)
  })

  await app.register(async function authenticated (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)

    app.post('/v2/users/me/avatar', {
      config: { idempotent: true },
      schema: {
        operationId: 'avatars.create',
        tags,
        summary: 'Upload an avatar',
        description: 'Returns a form for a direct upload to S3: send `fields` and then the picture, as `file`, to `url` as `multipart/form-data`. PNG, JPEG and WebP, at most 5 MiB. ' +
          'The picture is checked after the upload. It appears as `avatarUrl` of the user, usually within seconds, if its bytes are of the declared type and size; otherwise it is deleted. ' +
          'An upload that was requested before the current avatar, or before its removal, changes nothing.',
        security,
        body: AvatarRequest,
        response: { 201: { ...Upload, description: 'The form, valid for ten minutes' }, 400: Problem, 401: Problem, 404: disabled }
      }
    }, async ({ user, body, operation, id }, reply) => {
      reply.code(201)
      return await app.uploads.requestAvatar(user, body, operation, id)
    })

    app.delete('/v2/users/me/avatar', {
      schema: {
        operationId: 'avatars.delete',
        tags,
        summary: 'Remove your avatar',
        description: 'Removes `avatarUrl` at once, and then the picture. Also succeeds without an avatar. Uploads that were requested before it change nothing.',
        security,
        response: { 204: Type.Null({ description: 'Removed' }), 401: Problem, 404: disabled }
      }
    }, async ({ user, id }, reply) => {
      await app.uploads.removeAvatar(user, id)
      return await reply.code(204).send(null)
    })
  })
}
export default routes
