import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { IdempotencyInProgress, IdempotencyKeyReused, validationError } from '../../shared/errors.ts'
import { newId } from '../../shared/ids.ts'
import { networkOf } from '../../shared/network.ts'
import type {} from '../jwt.ts'
import type {} from '../keys/index.ts'
import { createSeal, describeRequest, KEY_HEADER, parseKey, REPLAYED_HEADER, type Seal } from './key.ts'
import { createStore, type IdempotencyStore, type Stored, type StoreOptions } from './store.ts'

/**
 * What a request does, as one thing that happens once. Every repetition of a request with the same Idempotency-Key has the
 * same operation. A handler that takes the ids of what it creates from it (`idFrom(operation.id, part)`), and the time from
 * it, finds what an earlier attempt wrote.
 */
export interface Operation {
  /** UUID */
  id: string
  /** when the first attempt began */
  startedAt: Date
}

declare module 'fastify' {
  interface FastifyInstance {
    idempotency: {
      /** Opens the store of the keys in the caller's table, whose TTL attribute is `expiresAt`. An app has one. */
      open (options: StoreOptions): void
    }
  }
  interface FastifyContextConfig {
    /** Honours the header Idempotency-Key, and sets `request.operation`. A handler that answers 4xx must have written nothing. */
    idempotent?: true
  }
  interface FastifyRequest {
    /** Set on idempotent routes only; without an Idempotency-Key it is a new one. */
    operation: Operation
  }
}

/** For how long an answer is kept. Stripe and the contract of this service: a day. */
const KEPT_MS = 24 * 3_600_000

/**
 * How long an attempt has its operation to itself: longer than a function may run (10 s). When it ends early, because a
 * server without that limit is slow, two attempts run the same operation, which has its effect once.
 */
const LEASE_MS = 15_000

/** Longer than an answer takes, even from a database that hangs. An attempt of this age has most likely ended with its process. */
const SLOW_MS = 3_000

/** The headers of the first answer that are repeated. The others belong to each answer: correlation id, limits, CORS. */
const KEPT_HEADERS = ['cache-control', 'content-language', 'content-type', 'etag', 'link', 'location']

const Answer = Type.Object({ status: Type.Integer(), headers: Type.Record(Type.String(), Type.String()), body: Type.String({ description: 'base64' }) })

/** A request that runs under a key. */
interface Attempt {
  recordId: string
  attemptId: string
  operation: Operation
  /** an earlier attempt had the operation, and may have written */
  isResumed: boolean
  seal: Seal
}

/** Who a key belongs to: another caller's same key is another key. */
const callerOf = (request: FastifyRequest) => request.user === null || request.user === undefined ? `network ${networkOf(request.ip)}` : `user ${request.user.sub}`

const operationOf = ({ operationId, startedAt }: Stored): Operation => ({ id: operationId, startedAt: new Date(startedAt) })

/** `retryAfter` in seconds. */
const inProgress = (retryAfter: number) => Object.assign(new IdempotencyInProgress(), { retryAfter })

/**
 * Idempotency-Key on the routes that ask for it (draft-ietf-httpapi-idempotency-key-header-07). See ADR 75.
 *
 * A record of the key is written before the handler runs, under a lease, and completed with the answer before it is sent.
 * When a process dies in between, the lease ends, and the next repetition goes on with the same operation.
 */
export default fp(async function idempotency (app) {
  const now = () => new Date()
  const attempts = new WeakMap<FastifyRequest, Attempt>()
  const routes: string[] = []
  let store: IdempotencyStore | undefined

  app.decorate('idempotency', {
    open (options) {
      if (store !== undefined) throw new Error('idempotency: the store is open already')
      store = createStore(app.dynamodb, options, now)
    }
  })
  app.decorateRequest('operation', null as never)

  /** Decides about a record that was there before this attempt: an attempt that may go on, or an answer to repeat. */
  async function judge (recordId: string, found: Stored, { attemptId, seal, fingerprints }: { attemptId: string, seal: Seal, fingerprints: string[] }): Promise<Attempt | string> {
    if (!fingerprints.includes(found.fingerprint)) throw new IdempotencyKeyReused()
    if (found.answer !== undefined) return seal.open(found.answer)
    const left = found.lease - now().getTime()
    if (left > 0) throw inProgress(LEASE_MS - left < SLOW_MS ? 1 : left / 1000)
    if (!await store!.takeOver(recordId, found.attemptId, { attemptId, lease: now().getTime() + LEASE_MS })) throw inProgress(1)
    return { recordId, attemptId, operation: operationOf(found), isResumed: true, seal }
  }

  async function reserve (request: FastifyRequest, key: string): Promise<Attempt | string> {
    const caller = callerOf(request)
    const at = now()
    const own = {
      attemptId: newId(),
      seal: createSeal(caller, key),
      fingerprints: app.keys.pseudonyms(`idempotent request ${describeRequest({ method: request.method, url: request.url, body: request.body })}`)
    }
    const [recordId, ...earlier] = app.keys.pseudonyms(`idempotency key ${caller} ${key}`) as [string, ...string[]]
    // After a rotation of the root secret, a key that was used before it has the id under the previous one.
    for (const id of earlier) {
      const found = await store!.find(id)
      if (found !== undefined) return await judge(id, found, own)
    }
    const record = {
      fingerprint: own.fingerprints[0]!,
      operationId: newId(),
      startedAt: at.toISOString(),
      attemptId: own.attemptId,
      lease: at.getTime() + LEASE_MS,
      expiresAt: Math.floor((at.getTime() + KEPT_MS) / 1000)
    }
    const there = await store!.create(recordId, record)
    if (there.attemptId !== own.attemptId) return await judge(recordId, there, own)
    return { recordId, attemptId: own.attemptId, operation: operationOf(there), isResumed: false, seal: own.seal }
  }

  function replay (reply: FastifyReply, text: string): FastifyReply {
    const answer: unknown = JSON.parse(text)
    if (!Value.Check(Answer, answer)) throw new Error('A stored answer is not valid')
    const body = Buffer.from(answer.body, 'base64')
    reply.code(answer.status).headers(answer.headers).header(REPLAYED_HEADER, 'true')
    return body.length === 0 ? reply.send() : reply.send(body)
  }

  /** `preHandler` of an idempotent route: the caller and the request are valid here. */
  async function begin (request: FastifyRequest, reply: FastifyReply) {
    const header = request.headers[KEY_HEADER]
    if (header === undefined) {
      request.operation = { id: newId(), startedAt: now() }
      return
    }
    const key = typeof header === 'string' ? parseKey(header) : undefined
    if (key === undefined) throw validationError([{ pointer: `#/${KEY_HEADER}`, detail: 'must be a key of at most 255 visible ASCII characters, in double quotes or without blanks, commas and semicolons' }])
    const reserved = await reserve(request, key)
    if (typeof reserved === 'string') return replay(reply, reserved)
    attempts.set(request, reserved)
    request.operation = reserved.operation
  }

  async function conclude ({ recordId, attemptId, isResumed, seal }: Attempt, reply: FastifyReply, payload: unknown): Promise<void> {
    const { statusCode: status } = reply
    if (status < 400 && (payload === null || payload === undefined || typeof payload === 'string' || Buffer.isBuffer(payload))) {
      const headers = Object.fromEntries(KEPT_HEADERS.filter(name => reply.hasHeader(name)).map(name => [name, String(reply.getHeader(name))]))
      const body = Buffer.from(payload ?? '').toString('base64')
      await store!.complete(recordId, attemptId, seal.close(JSON.stringify({ status, headers, body } satisfies typeof Answer.static)))
    } else if (status >= 500 || isResumed || status < 400) {
      // Something may have been written: the next attempt must be the same operation.
      await store!.release(recordId, attemptId)
    } else {
      // Nothing was written: the client may repeat the request when its cause is gone, or correct it.
      await store!.remove(recordId, attemptId)
    }
  }

  /** `onSend` of an idempotent route. */
  async function end (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    const attempt = attempts.get(request)
    if (attempt === undefined) return payload
    attempts.delete(request)
    try {
      await conclude(attempt, reply, payload)
    } catch (err) {
      // The client gets its answer all the same. When it repeats the request, the lease ends, and the handler finds what was done.
      request.log.warn({ err }, 'the answer to a request with an Idempotency-Key was not kept')
    }
    return payload
  }

  app.addHook('onRoute', (route: RouteOptions) => {
    if (route.config?.idempotent !== true) return
    routes.push(`${String(route.method)} ${route.url}`)
    route.preHandler = [begin, ...[route.preHandler ?? []].flat()]
    route.onSend = [...[route.onSend ?? []].flat(), end]
  })

  app.addHook('onReady', async () => {
    if (routes.length > 0 && store === undefined) throw new Error(`idempotency: no module has opened a store, but a route is idempotent: ${routes.join(', ')}`)
  })
}, { name: 'idempotency', dependencies: ['dynamodb', 'keys', 'jwt', 'errors'] })
