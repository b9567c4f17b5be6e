import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { preferredLocale } from '../../shared/locale.ts'
import { linkTo, sendPage } from '../../shared/paging.ts'
import { Problem, problem } from '../../shared/problem.ts'
import { wholeNumbers } from '../../shared/query.ts'
import type { Registration as RegistrationType } from './contract.ts'
import { EmailTaken, UserNotFound } from './errors.ts'
import { AuditPage, AuditQuery, BatchGet, BatchOfUsers, BatchRegistration, BatchResults, IdParams, Invited, ListQuery, UserPage } from './schemas.ts'

const tags = ['users']
const security = [{ bearer: [] }]

const linked = linkTo('/v2/users')
const REFUSED = { 400: Problem, 401: Problem, 403: Problem }
const taken = problem(EmailTaken, 'The address has an account')

const ABOUT_PAGES = 'A page may have fewer items than its limit; `nextCursor` is `null` only in the last one. The header `Link` has the same next page.'

/** What only admins may do. The token is asked first, and then the table. */
const routes: FastifyPluginAsyncTypebox = async function adminV2 (app) {
  await app.register(async function adminOnly (scope) {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.authenticate)
    app.addHook('onRequest', app.requireAdmin)
    // So that the API documents say it, and test/contract expects it.
    app.addHook('onRoute', ({ schema }) => { Object.assign(schema!, { 'x-roles': ['admin'] }) })

    app.get('/v2/users', {
      preValidation: wholeNumbers('limit'),
      schema: {
        operationId: 'users.list',
        tags,
        summary: 'List accounts',
        description: `For admins. Newest first, all of them or those with a status or an address. With \`email\` there is one item or none. ${ABOUT_PAGES} An account that has just been created or changed may take a moment to appear.`,
        security,
        querystring: ListQuery,
        response: { 200: { ...UserPage, headers: linked }, ...REFUSED }
      }
    }, async ({ user, query }, reply) => sendPage(reply, '/v2/users', query, await app.users.list(user, query)))

    app.post('/v2/users/batch-get', {
      config: { limit: 'bulk' },
      schema: {
        operationId: 'users.batchGet',
        tags,
        summary: 'Read accounts by their ids',
        description: 'For admins. At most 100 ids. The items are in the order of the ids; ids of no account are listed in `missing`.',
        security,
        body: BatchGet,
        response: { 200: BatchOfUsers, ...REFUSED }
      }
    }, async ({ user, body }) => await app.users.batchGet(user, body.ids))

    app.post('/v2/users/batch', {
      config: { limit: 'bulk', idempotent: true },
      schema: {
        operationId: 'users.createBatch',
        tags,
        summary: 'Register many users',
        description: 'For admins. Registers at most 100 users, each on its own: a row that is invalid (400) or whose address has an account or is in an earlier row (409) does not stop the others. ' +
          'Each new account is pending and gets a welcome mail with a code. Rows without `locale` get that of `Accept-Language`. A body may have 64 KiB: 100 rows of 600 bytes. ' +
          'After a 503 some rows may be registered; a request with the same `Idempotency-Key` registers the rest.',
        security,
        body: BatchRegistration,
        response: { 200: BatchResults, ...REFUSED }
      }
    }, async ({ user, body, headers, operation, id }) => ({
      results: await app.users.registerBatch(user, body.users, preferredLocale(headers['accept-language']), operation, id)
    }))

    app.post('/v2/users/invitations', {
      config: { limit: 'mail', idempotent: true },
      schema: {
        operationId: 'users.invite',
        tags,
        summary: 'Invite a user',
        description: 'For admins. Registers a user as `POST /v2/users` does, with a mail that says who invites. An address whose account is still pending is invited again, within the limits of codes for an address. An address whose account is confirmed is 409.',
        security,
        body: Type.Unsafe<RegistrationType>({ $ref: 'Registration#' }),
        response: { 202: { ...Invited, description: 'The mail will be sent' }, ...REFUSED, 409: taken }
      }
    }, async ({ user, body, headers, operation, id }, reply) => {
      const { locale = preferredLocale(headers['accept-language']) } = body
      reply.code(202)
      return await app.users.invite(user, { ...body, locale }, operation, id)
    })

    app.get('/v2/users/:id/audit', {
      preValidation: wholeNumbers('limit'),
      schema: {
        operationId: 'users.audit',
        tags,
        summary: 'List what admins did with an account',
        description: `For admins. Newest first: registrations, invitations, changes and deletions by admins, also of an account that is gone. Kept for 400 days. ${ABOUT_PAGES}`,
        security,
        params: IdParams,
        querystring: AuditQuery,
        response: { 200: { ...AuditPage, headers: linked }, ...REFUSED, 404: problem(UserNotFound, 'Not the id of a user') }
      }
    }, async ({ user, params, query }, reply) => sendPage(reply, `/v2/users/${params.id}/audit`, query, await app.users.audit(user, params.id, query)))
  })
}
export default routes
