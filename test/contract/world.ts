import type { Context } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Operation } from '../../scripts/client/document.ts'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines, type Engines } from '../engines.ts'
import { pump } from '../pump.ts'
import { httpEvent, overLambda, overSocket, restEvent, type Send, type WireRequest, type WireResponse } from '../lambda/transports.ts'

/** A user who is signed in. */
export interface Account {
  id: string
  email: string
  accessToken: string
  refreshToken: string
  /** a challenge that has been sent to the address and was not used yet */
  challenge: { challengeId: string, code: string }
}

/** The values of one request, put into the operation's path, query, headers and body. */
export interface Plan {
  path?: Record<string, string>
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: unknown
  /** the access token; by default the one of the caller */
  token?: string
}

/** The same service over each transport. */
export type Transports = Record<'socket' | 'REST API' | 'HTTP API', Send>

/** Lets an app answer over a socket and as a Lambda function. */
export async function transportsOf (app: TestApp): Promise<Transports> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const dispatch = createDispatch(app)
  const invoke = (event: unknown) => dispatch(event, {} as Context)
  return {
    socket: overSocket((app.server.address() as AddressInfo).port),
    'REST API': overLambda(invoke, restEvent),
    'HTTP API': overLambda(invoke, httpEvent)
  }
}

/** The origin of the web page that every request comes from: the documents list the headers of CORS. */
const ORIGIN = 'https://app.example.com'

/** An operation's request with the values of a plan. A string or a buffer as the body is sent as it is. */
export function requestOf (operation: Operation, { path = {}, query = {}, headers = {}, body, token }: Plan): WireRequest {
  const target = operation.path.replace(/\{([^}]+)\}/g, (_, name: string) => {
    if (path[name] === undefined) throw new Error(`${operation.id}: the plan has no ${name}`)
    return encodeURIComponent(path[name])
  })
  const search = new URLSearchParams(query).toString()
  const contentType = headers['content-type'] ?? operation.body?.contentType ?? 'application/json'
  return {
    method: operation.method,
    target: search === '' ? target : `${target}?${search}`,
    headers: Object.entries({
      origin: ORIGIN,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...headers
    }),
    ...(body === undefined ? {} : { body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) })
  }
}

/** A service on real engines, with users of every kind. */
export interface World {
  app: TestApp
  engines: Engines
  transports: Transports
  /** an address that has no account */
  newEmail (): string
  /** a user who has just signed in */
  account (): Promise<Account>
  admin (): Promise<Account>
  /** Delivers what follows from the requests so far. The mails are dropped. */
  deliver (): Promise<void>
  /** Calls the service as a test's own preparation, and expects success. */
  call <T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, options?: { token?: string, body?: object }): Promise<T>
}

/** Users that sign up together: what follows from their requests is then delivered once for all of them. */
const BATCH = 15

export async function startWorld (t: Test): Promise<World> {
  const engines = await startEngines(t)
  const adminEmails = Array.from({ length: 150 }, (_, i) => `person${900_000 + i}@example.com`)
  Object.assign(engines.env, { LOG_LEVEL: 'error', CORS_ORIGIN: ORIGIN, ADMIN_EMAILS: adminEmails.join(',') })
  const app = await buildTestApp(t, engines)
  let users = 0

  async function call <T> (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, { token, body }: { token?: string, body?: object } = {}): Promise<T> {
    const response = await app.inject({ method, url, headers: token === undefined ? {} : { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { payload: body }) })
    if (response.statusCode >= 300) throw new Error(`${method} ${url} answered ${response.statusCode} ${response.body}`)
    return (response.body === '' ? undefined : response.json()) as T
  }

  async function challenge (email: string) {
    const { challengeId } = await call<{ challengeId: string }>('POST', '/v2/auth/challenges', { body: { email } })
    return { challengeId, code: app.keys.codeOf(challengeId) }
  }

  const deliver = () => pump(app, engines, { consumers: { deliver: async () => ({ batchItemFailures: [] }) } })

  async function signUp (emails: string[]): Promise<Account[]> {
    const registered = await Promise.all(emails.map(async email => {
      const { challengeId } = await call<{ challengeId: string }>('POST', '/v2/users', { body: { email, name: 'Ada Lovelace' } })
      return { email, challengeId }
    }))
    await deliver()
    const accounts = await Promise.all(registered.map(async ({ email, challengeId }) => {
      const { accessToken, refreshToken, user } = await call<Tokens>('POST', '/v2/auth/tokens', { body: { grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) } })
      return { id: user.id, email, accessToken, refreshToken, challenge: await challenge(email) }
    }))
    await deliver()
    return accounts
  }

  /** Hands out accounts one by one, and signs up as many as needed. */
  function createPool (emailsFor: () => string[]) {
    let pool: Account[] = []
    let filling: Promise<void> | undefined
    return async function next (): Promise<Account> {
      while (pool.length === 0) {
        filling ??= signUp(emailsFor()).then(accounts => { pool = accounts }).finally(() => { filling = undefined })
        await filling
      }
      return pool.pop()!
    }
  }

  // Answers are compared without the number.
  const newEmail = () => `person${String(++users).padStart(6, '0')}@example.com`

  return {
    app,
    engines,
    transports: await transportsOf(app),
    newEmail,
    deliver,
    call,
    account: createPool(() => Array.from({ length: BATCH }, newEmail)),
    admin: createPool(() => {
      const emails = adminEmails.splice(0, BATCH)
      if (emails.length === 0) throw new Error('more admins than ADMIN_EMAILS has')
      return emails
    })
  }
}

/** An id that no resource has. */
export const unknownId = (): string => randomUUID()

export type { WireRequest, WireResponse }
