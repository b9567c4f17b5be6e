import { nothing, ofOwner, RACE, unknown, type Recipes } from '../../contract/recipes.ts'
import type { Account, Plan, World } from '../../contract/world.ts'

const OWN_ACCOUNT = 'the account of a token that is accepted exists: a token without an account gets 401'

const rename: Plan = { body: { name: 'Ada King' } }

/** The ETag of an account, as its owner reads it. */
async function unchanged ({ app }: World, { accessToken }: Account): Promise<{ 'if-none-match': string }> {
  const { headers } = await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })
  return { 'if-none-match': String(headers['etag']) }
}

/** What the contract test (test/contract) cannot read from the documents about the operations of this module. */
export const RECIPES: Recipes = {
  'v1.users.create': {
    success: world => ({ body: { email: world.newEmail(), name: 'Ada Lovelace' } }),
    outcomes: { 409: (_, { email }) => ({ body: { email, name: 'Ada Lovelace' } }) }
  },
  'v1.users.get': { success: ofOwner('userId'), outcomes: { 404: unknown('userId') } },
  'v1.users.update': { success: ofOwner('userId', rename), outcomes: { 404: unknown('userId', rename) }, unseen: { 409: RACE } },
  'v1.users.delete': { consumes: true, success: ofOwner('userId'), outcomes: { 404: unknown('userId') }, unseen: { 409: RACE } },
  'users.getMe': { success: nothing, outcomes: { 304: async (world, owner) => ({ headers: await unchanged(world, owner) }) }, unseen: { 404: OWN_ACCOUNT } },
  'users.updateMe': {
    success: () => rename,
    outcomes: { 403: () => ({ body: { role: 'admin' } }) },
    unseen: { 404: OWN_ACCOUNT, 409: RACE }
  },
  'users.deleteMe': { consumes: true, success: nothing, unseen: { 404: OWN_ACCOUNT, 409: RACE } },
  'users.get': {
    success: ofOwner('id'),
    outcomes: { 304: async (world, owner) => ({ path: { id: owner.id }, headers: await unchanged(world, owner) }), 404: unknown('id') }
  },
  'users.update': {
    success: ofOwner('id', rename),
    outcomes: { 403: ofOwner('id', { body: { status: 'SUSPENDED' } }), 404: unknown('id', rename) },
    unseen: { 409: RACE }
  },
  'users.delete': { consumes: true, success: ofOwner('id'), outcomes: { 404: unknown('id') }, unseen: { 409: RACE } },
  'users.export': { success: nothing },

  // for admins
  'users.list': { success: () => ({ query: { limit: '5' } }) },
  'users.batchGet': { success: (_, { id }) => ({ body: { ids: [id] } }) },
  'users.createBatch': { success: world => ({ body: { users: [{ email: world.newEmail(), name: 'Ada Lovelace' }] } }) },
  'users.invite': {
    success: world => ({ body: { email: world.newEmail(), name: 'Ada Lovelace' } }),
    outcomes: { 409: (_, { email }) => ({ body: { email, name: 'Ada Lovelace' } }) }
  },
  'users.audit': { success: ofOwner('id'), outcomes: { 404: () => ({ path: { id: 'no-id' } }) } }
}
