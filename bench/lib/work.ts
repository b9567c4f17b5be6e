import { createSigner } from 'fast-jwt'
import { randomUUID } from 'node:crypto'
import { accessTokens } from '../../local/access-token.ts'
import { userItem } from '../../src/modules/users/items.ts'
import type { Expected } from './answers.ts'
import type { Call } from './events.ts'

// The same work for every contender: a registration, a static answer, and the cached profile of a signed-in user.

export interface Task {
  call: Call
  expected: Expected
}

const isText = (value: unknown) => typeof value === 'string' && value !== ''
const EMAIL = 'grace@example.com'

/** The user whose profile is read. */
const USER = { id: 'a3bb189e-8bf9-4c2f-8f2a-0c1d2e3f4a5b', email: 'ada@example.com', name: 'Ada Lovelace' }

/** As the users table holds it. */
export const USER_ITEM = userItem({ ...USER, locale: 'en', status: 'ACTIVE', role: 'user', createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z', version: 1 })

/** Makes bearers of HS256 tokens, as the peers check them. */
export function peerBearer (secret: string): () => string {
  const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 24 * 3_600_000 })
  return () => `Bearer ${sign({ sub: USER.id, email: USER.email, role: 'user', jti: randomUUID() })}`
}

/** Makes bearers of access tokens of this service. */
export function serviceBearer (secret: string, issuer: string): () => string {
  const sign = accessTokens({ secret, issuer, audience: issuer })
  return () => `Bearer ${sign({ sub: USER.id, email: USER.email, sid: randomUUID(), jti: randomUUID() })}`
}

export interface Tasks { post: Task, static: Task, me: Task }

/** Of the peers. */
export const peerTasks = (secret: string): Tasks => ({
  post: { call: { method: 'POST', path: '/users', body: { email: EMAIL, name: 'Grace Hopper' } }, expected: { status: 201, body: { success: true, data: { userId: isText, email: EMAIL, name: 'Grace Hopper' } } } },
  static: { call: { method: 'GET', path: '/health' }, expected: { status: 200, body: { status: 'ok' } } },
  me: { call: { method: 'GET', path: '/users/me', headers: { authorization: peerBearer(secret)() } }, expected: { status: 200, body: { userId: USER.id, email: USER.email, name: USER.name, status: 'ACTIVE' } } }
})

/** A registration that every contender must reject. */
export const refusedTask = (path: string): Task => ({ call: { method: 'POST', path, body: { email: 'no address', name: 'Grace Hopper' } }, expected: { status: 400, body: {} } })

export interface ServiceTasks extends Tasks { postV1: Task }

/** Of this service. Its second version answers a registration with a challenge. */
export const serviceTasks = (secret: string, issuer: string, email: string = EMAIL): ServiceTasks => ({
  postV1: { call: { method: 'POST', path: '/v1/users', body: { email, name: 'Grace Hopper' } }, expected: { status: 201, body: { success: true, data: { userId: isText, email, name: 'Grace Hopper' } } } },
  post: { call: { method: 'POST', path: '/v2/users', body: { email, name: 'Grace Hopper' } }, expected: { status: 202, body: { challengeId: isText, expiresAt: isText } } },
  static: { call: { method: 'GET', path: '/health/live' }, expected: { status: 200, body: { status: isText } } },
  me: { call: { method: 'GET', path: '/v2/users/me', headers: { authorization: serviceBearer(secret, issuer)() } }, expected: { status: 200, body: { id: USER.id, email: USER.email, name: USER.name, status: 'ACTIVE' } } }
})

/** A server meets the tokens of many sessions, so that what it remembers of one token is worth no more than with users. */
const TOKENS = 500
export const bearersOf = (make: () => string): string[] => Array.from({ length: TOKENS }, make)
