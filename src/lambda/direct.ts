import { EventEmitter } from 'node:events'
import { ServerResponse, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { App } from '../app.ts'
import { isObject } from '../shared/is-object.ts'
import { HOP_BY_HOP, isBinary, type AppRequest, type HttpAnswer, type Serve } from './serve.ts'

// Fastify needs a request and a response, not a socket. `inject`, which @fastify/aws-lambda uses, makes them from an option
// object: it validates the object, parses the URL, writes the answer as HTTP/1.1 and reads its headers back. That was most
// of a warm call; see ADR 136 for the figures.

/** The part of a socket that Fastify and its plugins read. */
class Connection extends EventEmitter {
  readonly remoteAddress: string
  constructor (remoteAddress: string) {
    super()
    this.remoteAddress = remoteAddress
  }
}

/** A request whose body is in memory. It has what `http.IncomingMessage` documents, except its sockets' timeouts. */
class DirectRequest extends Readable {
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly complete = true
  readonly aborted = false
  readonly trailers = {}
  readonly method: string
  url: string
  readonly headers: AppRequest['headers']
  readonly socket: Connection
  readonly #body: Buffer | null
  response!: ServerResponse

  constructor ({ method, target, headers, body, address }: AppRequest) {
    // It stays open when its body has been read: Fastify takes a closed request for a client that has gone.
    super({ autoDestroy: false })
    this.method = method
    this.url = target
    this.headers = headers
    this.socket = new Connection(address)
    this.#body = body
  }

  get rawHeaders (): string[] {
    return Object.entries(this.headers).flatMap(([name, values]) => [values ?? []].flat().flatMap(value => [name, value]))
  }

  override _read (): void {
    // Without a body, this is its end already.
    this.push(this.#body)
    this.push(null)
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    // As on a connection: without the rest of the request there is no answer.
    if (!this.readableEnded) this.response.destroy(error ?? undefined)
    callback(this.listenerCount('error') === 0 ? null : error)
  }
}

type Chunk = string | Uint8Array
type Callback = (error?: Error | null) => void

/** A response that keeps what is written. Headers, their checks and their errors are Node's. */
class DirectResponse extends ServerResponse {
  readonly #onEnd: (response: DirectResponse) => void
  readonly #onFailure: (error: Error) => void
  readonly #chunks: (string | Buffer)[] = []
  #headers: OutgoingHttpHeaders = {}
  // Node's own follow its socket.
  override writableFinished = false
  override closed = false

  constructor (request: DirectRequest, onEnd: (response: DirectResponse) => void, onFailure: (error: Error) => void) {
    super(request as unknown as IncomingMessage)
    this.#onEnd = onEnd
    this.#onFailure = onFailure
  }

  override writeHead (...args: unknown[]): this {
    const given = args.at(-1)
    const isFirst = this.getHeaderNames().length === 0
    // A list can repeat names. Node joins them only with headers that were set before.
    if (isFirst && Array.isArray(given)) {
      this.setHeader('x', '')
      this.removeHeader('x')
    }
    super.writeHead(...args as Parameters<ServerResponse['writeHead']>)
    // Node keeps what it is given here only if other headers were set before.
    this.#headers = isFirst && isObject(given) && !Array.isArray(given) ? given as OutgoingHttpHeaders : this.getHeaders()
    return this
  }

  #hasBody (): boolean {
    const { statusCode, req } = this
    return req.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304 && statusCode >= 200
  }

  #keep (chunk: Chunk, encoding: BufferEncoding | null | undefined): void {
    if (!this.headersSent) this.writeHead(this.statusCode)
    const given = encoding ?? undefined
    const kept = typeof chunk === 'string' && given === undefined ? chunk : Buffer.from(chunk as string, given)
    if (this.#hasBody()) this.#chunks.push(kept)
  }

  override write (chunk: Chunk, encoding?: BufferEncoding | Callback | null, callback?: Callback): boolean {
    // Node's own error.
    if (this.writableEnded || this.destroyed) return super.write(chunk, encoding as BufferEncoding, callback)
    if (typeof encoding === 'function') return this.write(chunk, undefined, encoding)
    this.#keep(chunk, encoding)
    if (typeof callback === 'function') process.nextTick(callback)
    return true
  }

  override end (chunk?: Chunk | Callback | null, encoding?: BufferEncoding | Callback | null, callback?: Callback | null): this {
    if (typeof chunk === 'function') return this.end(undefined, undefined, chunk)
    if (typeof encoding === 'function') return this.end(chunk, undefined, encoding)
    if (this.writableEnded || this.destroyed) return super.end(chunk, encoding as BufferEncoding, callback ?? undefined)
    if (chunk !== undefined && chunk !== null) this.#keep(chunk, encoding)
    if (!this.headersSent) this.writeHead(this.statusCode)
    // `writableEnded` is read from it.
    this.finished = true
    this.writableFinished = true
    if (typeof callback === 'function') this.once('finish', callback)
    this.#onEnd(this)
    // The hooks that run now log the answer. What waits for it goes on after this, and only then can Lambda freeze the process.
    this.emit('finish')
    return this.destroy()
  }

  override destroy (error?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    if (!this.writableEnded) this.#onFailure(error ?? new Error('The response was destroyed before its end'))
    process.nextTick(() => {
      this.closed = true
      if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error)
      this.emit('close')
    })
    return this
  }

  /** Lambda sends one answer only. */
  override writeEarlyHints (hints: Record<string, string | string[]>, callback?: () => void): void {
    super.writeEarlyHints(hints)
    if (callback !== undefined) process.nextTick(callback)
  }

  /** Lambda sends no trailers. */
  override addTrailers (): void {}

  get sent (): { headers: OutgoingHttpHeaders, chunks: (string | Buffer)[] } {
    return { headers: this.#headers, chunks: this.#chunks }
  }
}

let second = 0
let date = ''
/** The date of an answer. It changes once a second. */
function httpDate (): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    date = new Date(now * 1000).toUTCString()
  }
  return date
}

/** The answer in the shape of @fastify/aws-lambda. */
function answerOf (response: DirectResponse, { isV2 }: AppRequest): HttpAnswer {
  const { headers: given, chunks } = response.sent
  const headers: Record<string, string> = {}
  let cookies: OutgoingHttpHeaders[string]
  for (const name in given) {
    const value = given[name]
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.includes(lower)) continue
    if (lower === 'set-cookie') cookies = value
    else headers[lower] = Array.isArray(value) ? value.join(',') : String(value)
  }
  if (response.sendDate) headers['date'] ??= httpDate()

  const isBase64Encoded = isBinary(headers)
  const [chunk] = chunks
  const body = chunks.length === 1 && typeof chunk === 'string' && !isBase64Encoded
    // In UTF-8, half of a surrogate pair is U+FFFD.
    ? chunk.toWellFormed()
    : Buffer.concat(chunks.map(part => typeof part === 'string' ? Buffer.from(part) : part)).toString(isBase64Encoded ? 'base64' : 'utf8')
  const answer: HttpAnswer = { statusCode: response.statusCode, headers, isBase64Encoded, body }
  if (cookies !== undefined) {
    const list = [cookies].flat().map(String)
    if (isV2) answer.cookies = list
    else if (Array.isArray(cookies)) answer.multiValueHeaders = { 'set-cookie': list }
    else headers['set-cookie'] = String(cookies)
  }
  return answer
}

/**
 * Serves requests with a request and a response of their own, straight into the router.
 *
 * The caller makes sure that a URL parser would leave the target as it is.
 */
export function createDirect (app: App): Serve {
  let ready: PromiseLike<unknown> | undefined
  return async request => {
    await (ready ??= app.ready())
    const response = await new Promise<DirectResponse>((resolve, reject) => {
      const raw = new DirectRequest(request)
      raw.response = new DirectResponse(raw, resolve, reject)
      app.routing(raw as unknown as IncomingMessage, raw.response)
    })
    return answerOf(response, request)
  }
}
