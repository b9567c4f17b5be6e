import { nothing, OVERLOAD, unknown, type Prepare, type Recipes } from '../../contract/recipes.ts'

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

/** The code of a change of address, to one that another user has confirmed since. */
const takenAddress: Prepare = async (world, { accessToken: token }) => {
  const email = world.newEmail()
  const { challengeId } = await world.call<{ challengeId: string }>('POST', '/v2/users/me/email', { token, body: { email } })
  const registration = await world.call<{ challengeId: string }>('POST', '/v2/users', { body: { email, name: 'Grace Hopper' } })
  await world.deliver()
  await world.call('POST', '/v2/auth/verify', { body: { challengeId: registration.challengeId, code: world.app.keys.codeOf(registration.challengeId) } })
  return { body: { challengeId, code: world.app.keys.codeOf(challengeId) } }
}

/** The session that a token belongs to. */
const sessionOf = (accessToken: string) => (JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }).sid

/** What the contract test (test/contract) cannot read from the documents about the operations of this module. */
export const RECIPES: Recipes = {
  'v1.auth.createChallenge': {
    success: world => ({ body: { email: world.newEmail() } }),
    outcomes: { 429: exhausted('/v1/auth/challenges', {}) }
  },
  'v1.auth.createTokens': { consumes: true, success: grant(rightCode), outcomes: { 401: grant(wrongCode), 409: grant(takenAddress) } },
  'users.create': {
    success: world => ({ body: { email: world.newEmail(), name: 'Ada Lovelace' } }),
    outcomes: { 429: exhausted('/v2/users', { name: 'Ada Lovelace' }) }
  },
  'auth.createChallenge': {
    success: world => ({ body: { email: world.newEmail() } }),
    outcomes: { 429: exhausted('/v2/auth/challenges', {}) }
  },
  'auth.verify': { consumes: true, success: rightCode, outcomes: { 401: wrongCode, 409: takenAddress } },
  'auth.createTokens': { consumes: true, success: grant(rightCode), outcomes: { 401: grant(wrongCode), 409: grant(takenAddress) } },
  'auth.revoke': { consumes: true, success: (_, { refreshToken }) => ({ body: { refreshToken } }) },
  'auth.jwks': { success: nothing, unseen: { 503: OVERLOAD } },
  'auth.metadata': { success: nothing, unseen: { 503: OVERLOAD } },
  'sessions.list': { success: nothing },
  'sessions.endAll': { consumes: true, success: nothing },
  'sessions.end': { consumes: true, success: (_, { accessToken }) => ({ path: { id: sessionOf(accessToken) } }), outcomes: { 404: unknown('id') } },
  'users.changeEmail': {
    consumes: true,
    success: world => ({ body: { email: world.newEmail() } }),
    outcomes: {
      429: async (world, { accessToken: token }) => {
        const email = world.newEmail()
        for (let i = 0; i < 5; i++) await world.call('POST', '/v2/users/me/email', { token, body: { email } })
        return { body: { email } }
      }
    }
  }
}
