import { unknownId, type Account, type Plan, type World } from './world.ts'

/** Makes the values of a request. `owner` is the user whose resource the request is about. */
export type Prepare = (world: World, owner: Account) => Plan | Promise<Plan>

/** What cannot be read from the documents about one operation. */
export interface Recipe {
  /** a request that succeeds for a caller who may send it */
  success: Prepare
  /** whether a success uses up something of the owner, so that the next request needs another owner */
  consumes?: boolean
  /** requests with other documented outcomes, sent by the owner, or by an admin when the operation is one for admins */
  outcomes?: Partial<Record<number, Prepare>>
  /** documented statuses that no single request causes, and why, or where they are tested */
  unseen?: Partial<Record<number, string>>
  /** what a token gets whose account is suspended or deleted, if it is not 401, and why */
  endedAccounts?: { status: number, reason: string }
}

const RACE = 'needs writers that race: test/faults/races.test.ts'
const OWN_ACCOUNT = 'the account of a token that is accepted exists: a token without an account gets 401'

const nothing: Prepare = () => ({})
const ofOwner = (parameter: string, plan: Plan = {}): Prepare => (_, { id }) => ({ ...plan, path: { [parameter]: id } })
const unknown = (parameter: string, plan: Plan = {}): Prepare => () => ({ ...plan, path: { [parameter]: unknownId() } })
const rename: Plan = { body: { name: 'Ada King' } }

/** The ETag of an account, as its owner reads it. */
async function unchanged ({ app }: World, { accessToken }: Account): Promise<{ 'if-none-match': string }> {
  const { headers } = await app.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })
  return { 'if-none-match': String(headers['etag']) }
}

const rightCode: Prepare = (_, { challenge }) => ({ body: challenge })
const wrongCode: Prepare = (_, { challenge: { challengeId, code } }) => ({ body: { challengeId, code: code === '00000000' ? '11111111' : '00000000' } })
const grant = (prepare: Prepare): Prepare => async (world, owner) => {
  const { body } = await prepare(world, owner)
  return { body: { grantType: 'code', ...body as object } }
}

/** Uses up an address's codes of this network, then asks for one more. */
const exhausted = (path: string, body: object): Prepare => async (world) => {
  const email = world.newEmail()
  for (let i = 0; i < 5; i++) await world.call('POST', path, { body: { ...body, email } })
  return { body: { ...body, email } }
}

/** By operation: what a request needs that succeeds, and how the outcomes come about that are the operation's own. */
export const RECIPES: Record<string, Recipe> = {
  // version 1
  'v1.users.create': {
    success: world => ({ body: { email: world.newEmail(), name: 'Ada Lovelace' } }),
    outcomes: { 409: (_, { email }) => ({ body: { email, name: 'Ada Lovelace' } }) }
  },
  'v1.users.get': { success: ofOwner('userId'), outcomes: { 404: unknown('userId') } },
  'v1.users.update': { success: ofOwner('userId', rename), outcomes: { 404: unknown('userId', rename) }, unseen: { 409: RACE } },
  'v1.users.delete': { consumes: true, success: ofOwner('userId'), outcomes: { 404: unknown('userId') }, unseen: { 409: RACE } },
  'v1.auth.createChallenge': {
    success: world => ({ body: { email: world.newEmail() } }),
    outcomes: { 429: exhausted('/v1/auth/challenges', {}) }
  },
  'v1.auth.createTokens': { consumes: true, success: grant(rightCode), outcomes: { 401: grant(wrongCode) } },
  'v1.health.check': { success: nothing },

  // version 2
  'users.create': {
    success: world => ({ body: { email: world.newEmail(), name: 'Ada Lovelace' } }),
    outcomes: { 429: exhausted('/v2/users', { name: 'Ada Lovelace' }) }
  },
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
  'auth.createChallenge': {
    success: world => ({ body: { email: world.newEmail() } }),
    outcomes: { 429: exhausted('/v2/auth/challenges', {}) }
  },
  'auth.verify': { consumes: true, success: rightCode, outcomes: { 401: wrongCode } },
  'auth.createTokens': { consumes: true, success: grant(rightCode), outcomes: { 401: grant(wrongCode) } },
  'auth.revoke': { consumes: true, success: (_, { refreshToken }) => ({ body: { refreshToken } }) },
  'auth.jwks': { success: nothing },
  'health.live': { success: nothing },
  'health.ready': { success: nothing }
}
