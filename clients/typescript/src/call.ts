import { ProblemError } from './problem.ts'
import { delayBefore, isRepeatable, orAborted, pause, RETRY, type RetryOptions } from './retry.ts'
import type { TokenKeeper } from './tokens.ts'

/** What the document says of an operation, as far as a call needs it. */
export interface Operation {
  method: string
  /** with `{parameters}` */
  path: string
  /** type of the request body */
  contentType?: string
  /** needs an access token */
  secured?: boolean
  /** accepts an `Idempotency-Key` */
  keyed?: boolean
  /** can be sent twice although its method does not say so */
  repeatable?: boolean
}

/** What every call accepts beside its own parameters. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  headers?: Record<string, string> | undefined
  /** the `etag` of an earlier answer: rejects with 412 when the resource has changed since */
  ifMatch?: string | undefined
  /** the `etag` of an earlier answer: gives 304 and no data when the resource has not changed since */
  ifNoneMatch?: string | undefined
  /** replaces the key that the client makes for each call, to continue a call of an earlier process */
  idempotencyKey?: string | undefined
  /** `false` sends the request once */
  retry?: RetryOptions | false | undefined
}

interface AnswerParts {
  /** for `ifMatch` and `ifNoneMatch` of later calls */
  etag: string | undefined
  headers: Headers
  correlationId: string | undefined
}

/** A successful answer. `Responses` are the bodies by their status. */
export type Answer<Responses> = { [Status in keyof Responses]: { status: Status, data: Responses[Status] } }[keyof Responses] & AnswerParts

export type NotModified = { status: 304, data: undefined } & AnswerParts

type Inputs<Data> = Pick<Data, Extract<keyof Data, 'body' | 'path' | 'query'>>
type Conditional<Data> = Inputs<Data> & CallOptions & { ifNoneMatch: string }

/** A function that calls one operation. */
export type Call<Data, Responses> = object extends Inputs<Data>
  ? { (options: Conditional<Data>): Promise<Answer<Responses> | NotModified>, (options?: Inputs<Data> & CallOptions): Promise<Answer<Responses>> }
  : { (options: Conditional<Data>): Promise<Answer<Responses> | NotModified>, (options: Inputs<Data> & CallOptions): Promise<Answer<Responses>> }

type AnyOptions = CallOptions & { body?: unknown, path?: Record<string, unknown>, query?: Record<string, unknown> }

export interface CallerOptions {
  baseUrl: string
  fetch: typeof globalThis.fetch
  retry: RetryOptions | undefined
}

function urlOf (baseUrl: string, path: string, { path: parameters = {}, query = {} }: AnyOptions): string {
  const filled = path.replace(/\{([^}]+)\}/g, (_, name: string) => encodeURIComponent(String(parameters[name])))
  const search = new URLSearchParams(Object.entries(query).flatMap(([name, values]) =>
    [values].flat().filter(value => value !== undefined).map((value): [string, string] => [name, String(value)])))
  return `${baseUrl.replace(/\/+$/, '')}${filled}${search.size === 0 ? '' : `?${search.toString()}`}`
}

function headersOf ({ contentType }: Operation, { headers, body, ifMatch, ifNoneMatch }: AnyOptions, key: string | undefined): Headers {
  const all = new Headers({ accept: 'application/json, application/problem+json', ...headers })
  if (body !== undefined && contentType !== undefined) all.set('content-type', contentType)
  if (ifMatch !== undefined) all.set('if-match', ifMatch)
  if (ifNoneMatch !== undefined) all.set('if-none-match', ifNoneMatch)
  if (key !== undefined) all.set('idempotency-key', key)
  return all
}

async function bodyOf (response: Response): Promise<unknown> {
  const text = await response.text()
  if (text === '') return undefined
  if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text // cut off on its way
  }
}

/** Makes the function that sends every call: with a token, again when that is safe, and with errors as ProblemError. */
export function createCaller ({ baseUrl, fetch, retry }: CallerOptions) {
  return async function call (operation: Operation, options: AnyOptions = {}, tokens?: TokenKeeper): Promise<AnswerParts & { status: number, data: unknown }> {
    const { signal } = options
    // One key for all attempts of this call.
    const key = operation.keyed === true ? options.idempotencyKey ?? crypto.randomUUID() : undefined
    const headers = headersOf(operation, options, key)
    const url = urlOf(baseUrl, operation.path, options)
    const body = options.body === undefined ? {} : { body: JSON.stringify(options.body) }
    const limits = options.retry === false ? { attempts: 1 } : { ...retry, ...options.retry }
    const attempts = operation.repeatable === true || isRepeatable(operation.method, key) ? limits.attempts ?? RETRY.attempts : 1
    const deadline = Date.now() + (limits.totalMs ?? RETRY.totalMs)

    async function send (): Promise<{ response: Response, body: unknown }> {
      const response = await fetch(url, { method: operation.method, headers, ...body, ...(signal === undefined ? {} : { signal }) })
      return { response, body: await bodyOf(response) }
    }

    /** Sends with the newest access token. A rejected one is renewed once: the request has had no effect. */
    async function sendSigned (keeper: TokenKeeper) {
      const current = await orAborted(keeper.usable(), signal)
      if (current !== undefined) headers.set('authorization', `Bearer ${current.accessToken}`)
      const sent = await send()
      if (sent.response.status !== 401 || current === undefined) return sent
      const next = await orAborted(keeper.renew(current), signal)
      if (next === undefined) return sent
      headers.set('authorization', `Bearer ${next.accessToken}`)
      return await send()
    }

    for (let attempt = 1; ; attempt++) {
      let failure: unknown
      try {
        signal?.throwIfAborted()
        const { response, body } = await (operation.secured === true && tokens !== undefined ? sendSigned(tokens) : send())
        const { status, headers } = response
        if (response.ok || status === 304) {
          return { status, data: body, etag: headers.get('etag') ?? undefined, headers, correlationId: headers.get('x-correlation-id') ?? undefined }
        }
        failure = new ProblemError(response, body)
      } catch (error) {
        if (signal?.aborted === true) throw error
        failure = error
      }
      const delay = delayBefore(failure, { attempt, attempts, leftMs: deadline - Date.now() })
      if (delay === undefined) throw failure
      await pause(delay, signal)
    }
  }
}
