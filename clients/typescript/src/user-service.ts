import { createCaller, type Operation } from './call.ts'
import { OPERATIONS, type Api } from './generated/operations.ts'
import type { Tokens, User } from './generated/types.gen.ts'
import type { ProblemError } from './problem.ts'
import type { RetryOptions } from './retry.ts'
import { createTokenKeeper, memoryStorage, type StoredTokens, type TokenStorage } from './tokens.ts'

export interface UserServiceOptions {
  /** where the service is, such as `https://api.example.com`; may have a path */
  baseUrl: string
  /** where tokens are kept; in memory by default */
  storage?: TokenStorage | undefined
  /** replaces the global `fetch` */
  fetch?: typeof globalThis.fetch | undefined
  /** limits of retries of every call */
  retry?: RetryOptions | undefined
  /** called when the service has ended the session: the user must sign in again */
  onSessionEnd?: ((error: ProblemError) => void) | undefined
}

/** Every operation of the service, by its tag and name, and the session of one user. */
export interface UserService extends Api {
  /** Exchanges the code from a mail for tokens, and keeps them. Register with `users.create` or ask for a code with `auth.createChallenge` first. */
  signIn (challenge: { challengeId: string, code: string }): Promise<User>
  /** Forgets the tokens and ends the session. When the service cannot be reached, the tokens are forgotten all the same. */
  signOut (): Promise<void>
  /** The stored tokens; `undefined` when no user is signed in. */
  tokens (): Promise<StoredTokens | undefined>
}

/** Makes a client of the service, for one user at a time. */
export function createUserService ({ baseUrl, storage = memoryStorage(), fetch = (input, init) => globalThis.fetch(input, init), retry, onSessionEnd }: UserServiceOptions): UserService {
  const call = createCaller({ baseUrl, fetch, retry })

  async function exchange (body: object, repeatable = false): Promise<Tokens> {
    return (await call({ ...OPERATIONS['auth.createTokens'], repeatable }, { body })).data as Tokens
  }

  const keeper = createTokenKeeper({
    storage,
    onSessionEnd,
    // For ten seconds a second refresh gets the answer of the first. Later it ends the session, which is lost anyway when
    // the answer is. A code that was sent once may be used up, so its exchange is not repeated.
    refresh: refreshToken => exchange({ grantType: 'refresh_token', refreshToken }, true)
  })

  const groups: Record<string, Record<string, unknown>> = {}
  for (const [id, operation] of Object.entries<Operation>(OPERATIONS)) {
    const [group, name] = id.split('.') as [string, string]
    groups[group] ??= {}
    groups[group][name] = (options?: object) => call(operation, options, keeper)
  }

  return {
    ...groups as unknown as Api,

    async signIn ({ challengeId, code }) {
      const requestedAt = Date.now()
      const answer = await exchange({ grantType: 'code', challengeId, code })
      await keeper.start(answer, requestedAt)
      return answer.user
    },

    async signOut () {
      const tokens = await keeper.read()
      await keeper.end()
      if (tokens !== undefined) await call(OPERATIONS['auth.revoke'], { body: { refreshToken: tokens.refreshToken } })
    },

    tokens: () => keeper.read()
  }
}
