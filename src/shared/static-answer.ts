import type { FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { addVary, matchesEtag } from './http-cache.ts'

/** Content smaller than this many bytes is not compressed, because it would gain nothing. */
const WORTH_COMPRESSING = 1024

type Coding = 'br' | 'gzip' | 'identity'

interface Representation {
  etag: string
  body: Buffer
}

/** The best supported coding that a client accepts, RFC 9110 §12.5.3; `identity` if it accepts none of them. */
export function codingOf (acceptEncoding: string | undefined): Coding {
  const weights = new Map<string, number>()
  for (const part of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map(text => text.trim())
    const q = parameters.find(text => text.startsWith('q='))
    weights.set(name, q === undefined ? 1 : Number(q.slice(2)))
  }
  const weight = (name: Coding) => weights.get(name) ?? weights.get('*') ?? 0
  const [best] = (['br', 'gzip'] as const).filter(name => weight(name) > 0).sort((a, b) => weight(b) - weight(a))
  return best ?? 'identity'
}

async function compress (content: Buffer, coding: Exclude<Coding, 'identity'>): Promise<Buffer> {
  // Loaded with the first compressed answer, because a cold start does not need it. In the Lambda artifact, built-ins
  // have only a default export.
  const { default: zlib } = await import('node:zlib')
  if (coding === 'gzip') return await promisify(zlib.gzip)(content, { level: 9 })
  // Quality 9 of 11: a few per cent larger, in a tenth of the time.
  return await promisify(zlib.brotliCompress)(content, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 9, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length } })
}

export interface StaticAnswerOptions {
  /** makes the content on the first request; called again only after it has failed */
  load: () => Buffer | string | Promise<Buffer | string>
  /** content type */
  type: string
  /** Cache-Control */
  cacheControl: string
  headers?: Record<string, string>
}

/**
 * A handler for content that never changes while the process runs. The content, and each compressed form of it, is made
 * once, on the first request, and shared by concurrent requests. Answers 304 to a client that has it.
 */
export function createStaticAnswer ({ load, type, cacheControl, headers = {} }: StaticAnswerOptions) {
  const made = new Map<Coding, Promise<Representation>>()

  async function make (coding: Coding): Promise<Representation> {
    if (coding === 'identity') {
      const content = await load()
      const body = typeof content === 'string' ? Buffer.from(content) : content
      return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
    }
    const plain = await represent('identity')
    if (plain.body.length < WORTH_COMPRESSING) return plain
    // Each coding has its own ETag, RFC 9110 §8.8.3.
    return { body: await compress(plain.body, coding), etag: `${plain.etag.slice(0, -1)}-${coding}"` }
  }

  function represent (coding: Coding): Promise<Representation> {
    let representation = made.get(coding)
    if (representation === undefined) {
      representation = make(coding)
      representation.catch(() => made.delete(coding))
      made.set(coding, representation)
    }
    return representation
  }

  return async function staticAnswer (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const coding = codingOf(request.headers['accept-encoding'])
    const { etag, body } = await represent(coding)
    addVary(reply, 'accept-encoding')
    reply.headers({ ...headers, etag, 'cache-control': cacheControl })
    if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    if (etag.endsWith(`-${coding}"`)) reply.header('content-encoding', coding)
    return reply.type(type).send(body)
  }
}
