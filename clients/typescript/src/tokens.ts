import type { Tokens as TokenAnswer, User } from './generated/types.gen.ts'
import { ProblemError } from './problem.ts'

/** The tokens of a session as they are stored. Times are milliseconds of this device's clock. */
export interface StoredTokens {
  accessToken: string
  refreshToken: string
  issuedAt: number
  expiresAt: number
  /** as it was when the tokens were issued */
  user: User
}

type Awaitable<T> = T | Promise<T>

/** Where tokens are kept. Several tabs or processes may share one. */
export interface TokenStorage {
  get (): Awaitable<StoredTokens | undefined>
  /** `undefined` removes them. */
  set (tokens: StoredTokens | undefined): Awaitable<void>
  /** Runs work while no other tab does; without it, two tabs that refresh at once rely on the grace of the service. */
  lock?<T> (work: () => Promise<T>): Promise<T>
}

/** Keeps the tokens in memory: they are gone after a reload. */
export function memoryStorage (): TokenStorage {
  let stored: StoredTokens | undefined
  return {
    get: () => stored,
    set (tokens) { stored = tokens }
  }
}

interface Locks { request<T> (name: string, work: () => Promise<T>): Promise<T> }

/**
 * Keeps the tokens in `localStorage` or `sessionStorage`, shared by the tabs of an origin. Every script of the origin can read them.
 * A browser may show a tab late what another one has stored, and then the tab relies on the grace of the service as well.
 */
export function webStorage (storage: { getItem (key: string): string | null, setItem (key: string, value: string): void, removeItem (key: string): void }, key = 'user-service.tokens'): TokenStorage {
  const locks = (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks
  return {
    get () {
      try {
        const value = JSON.parse(storage.getItem(key) ?? 'null') as StoredTokens | null
        return typeof value?.refreshToken === 'string' ? value : undefined
      } catch {
        return undefined // written by something else
      }
    },
    set (tokens) {
      if (tokens === undefined) storage.removeItem(key)
      else storage.setItem(key, JSON.stringify(tokens))
    },
    ...(locks === undefined ? {} : { lock: <T>(work: () => Promise<T>) => locks.request(key, work) })
  }
}

/** Tokens are renewed this long before they expire, or a tenth of their lifetime before if that is shorter. */
const MARGIN_MS = 30_000

function isDue ({ issuedAt, expiresAt }: StoredTokens, now: number): boolean {
  return now >= expiresAt - Math.min(MARGIN_MS, (expiresAt - issuedAt) / 10)
}

export interface KeeperOptions {
  storage: TokenStorage
  /** exchanges a refresh token for new tokens */
  refresh: (refreshToken: string) => Promise<TokenAnswer>
  /** called once when the service ends the session */
  onSessionEnd?: ((error: ProblemError) => void) | undefined
}

/** Keeps the tokens of one session fresh. However many calls need new tokens at once, one refresh is sent. */
export function createTokenKeeper ({ storage, refresh, onSessionEnd }: KeeperOptions) {
  let renewal: Promise<StoredTokens | undefined> | undefined

  function stored ({ accessToken, refreshToken, expiresIn, user }: TokenAnswer, requestedAt: number): StoredTokens {
    // Counted from the request: the tokens are a little older than the answer.
    return { accessToken, refreshToken, issuedAt: requestedAt, expiresAt: requestedAt + expiresIn * 1000, user }
  }

  async function exchange (stale: StoredTokens): Promise<StoredTokens | undefined> {
    const current = await storage.get()
    // Another call or tab has renewed them, or signed out.
    if (current?.accessToken !== stale.accessToken) return current
    const requestedAt = Date.now()
    let next: StoredTokens
    try {
      next = stored(await refresh(current.refreshToken), requestedAt)
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 401) throw error
      const newest = await storage.get()
      if (newest !== undefined && newest.refreshToken !== current.refreshToken) return newest
      await storage.set(undefined)
      onSessionEnd?.(error)
      throw error
    }
    const newest = await storage.get()
    if (newest === undefined || newest.issuedAt > next.issuedAt) return newest
    await storage.set(next)
    return next
  }

  /** Gives tokens other than these: those that are stored by now, or new ones. */
  async function renew (stale: StoredTokens): Promise<StoredTokens | undefined> {
    const work = () => exchange(stale)
    renewal ??= (storage.lock?.(work) ?? work()).finally(() => { renewal = undefined })
    return await renewal
  }

  return {
    renew,

    /** The stored tokens, renewed if they are about to expire. */
    async usable (): Promise<StoredTokens | undefined> {
      const tokens = await storage.get()
      return tokens !== undefined && isDue(tokens, Date.now()) ? await renew(tokens) : tokens
    },

    async start (answer: TokenAnswer, requestedAt: number): Promise<void> {
      await storage.set(stored(answer, requestedAt))
    },

    async read (): Promise<StoredTokens | undefined> {
      return await storage.get()
    },

    async end (): Promise<void> {
      await storage.set(undefined)
    }
  }
}

export type TokenKeeper = ReturnType<typeof createTokenKeeper>
