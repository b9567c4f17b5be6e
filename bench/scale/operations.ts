import { randomUUID } from 'node:crypto'
import type { App } from '../../src/app.ts'
import { createRepository as createAuthRepository } from '../../src/modules/auth/repository.ts'
import { BenchError } from '../lib/bench.ts'
import { userOf, type BenchUser } from '../lib/population.ts'
import { named, type Place } from './place.ts'

/** Requests with a JSON body; the answer must have the status. */
export async function call (origin: string, method: string, path: string, status: number, { body, headers = {} }: { body?: object, headers?: Record<string, string> } = {}): Promise<unknown> {
  const response = await fetch(`${origin}${path}`, { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const text = await response.text()
  if (response.status !== status) throw new BenchError(`${method} ${path} answers ${response.status}: ${text.slice(0, 200)}`)
  return text === '' ? undefined : JSON.parse(text)
}

/** Headers that authenticate a user, and the admin. `app` has the servers' keys. */
export function bearersOf (app: App) {
  const bearer = async ({ id: sub, email, sid }: BenchUser, role: 'user' | 'admin') => ({ authorization: `Bearer ${await app.accessTokens.sign({ sub, email, role, sid })}` })
  return {
    user: async (user: BenchUser) => await bearer(user, 'user'),
    admin: async () => await bearer(userOf(0), 'admin')
  }
}

/** A registration of an address that is new. */
export const registration = () => ({ email: `new-${randomUUID()}@example.com`, name: 'Grace Hopper' })

export interface Operation {
  name: string
  /** requests of each size in a round */
  count: number
  /** prepares what is not measured, and returns what is */
  prepare (place: Place): Promise<() => Promise<unknown>>
}

/** What is measured. `app` has the servers' keys, so it can derive codes. */
export function operationsOf (app: App): Operation[] {
  const bearers = bearersOf(app)
  return [
    {
      name: 'uncached read',
      count: 10,
      async prepare ({ origin, next }) {
        const headers = await bearers.user(next())
        return () => call(origin, 'GET', '/v2/users/me', 200, { headers })
      }
    },
    {
      name: 'list page of 20',
      count: 5,
      async prepare ({ origin }) {
        const headers = await bearers.admin()
        return () => call(origin, 'GET', '/v2/users?limit=20', 200, { headers })
      }
    },
    {
      name: 'lookup by address',
      count: 10,
      async prepare ({ origin, next }) {
        const headers = await bearers.admin()
        const { email } = next()
        return () => call(origin, 'GET', `/v2/users?email=${encodeURIComponent(email)}`, 200, { headers })
      }
    },
    { name: 'registration, v1', count: 5, prepare: async ({ origin }) => () => call(origin, 'POST', '/v1/users', 201, { body: registration() }) },
    { name: 'registration, v2', count: 5, prepare: async ({ origin }) => () => call(origin, 'POST', '/v2/users', 202, { body: registration() }) },
    {
      name: 'sign-in request',
      count: 5,
      async prepare ({ origin, next }) {
        const { email } = next()
        return () => call(origin, 'POST', '/v2/auth/challenges', 202, { body: { email } })
      }
    },
    {
      name: 'code exchange',
      count: 5,
      async prepare ({ origin, dynamodb, next }) {
        const { id: userId, email } = next()
        const challengeId = randomUUID()
        // As the handler of a requested code opens it.
        const repository = createAuthRepository({ dynamodb, outbox: { write: () => { throw new Error('nothing is announced') }, put: async () => {} }, table: app.config.AUTH_TABLE, now: () => new Date() })
        await repository.openChallenge({ challengeId, userId, address: app.keys.pseudonym(email), expiresAt: Math.floor(Date.now() / 1000) + 600 })
        const code = await app.keys.codeOf(challengeId)
        return () => call(origin, 'POST', '/v2/auth/tokens', 200, { body: { grantType: 'code', challengeId, code } })
      }
    }
  ]
}

/** The answers are right before anything is timed. */
export async function validate (places: Place[], app: App): Promise<void> {
  const bearers = bearersOf(app)
  for (const { origin, size, next } of places) {
    const loaded = next()
    const { id, email } = loaded
    const user = await call(origin, 'GET', '/v2/users/me', 200, { headers: await bearers.user(loaded) }) as { email: string }
    const headers = await bearers.admin()
    const found = await call(origin, 'GET', `/v2/users?email=${encodeURIComponent(email)}`, 200, { headers }) as { items: { id: string }[] }
    const page = await call(origin, 'GET', '/v2/users?limit=20', 200, { headers }) as { items: unknown[] }
    if (user.email !== email || found.items[0]?.id !== id || page.items.length !== 20) throw new BenchError(`${named(size)}: a loaded user is not read, found by address, or listed`)
  }
}
