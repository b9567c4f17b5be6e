import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { IncomingMessage } from 'node:http'
import { HostMissing, UrlMalformed } from '../shared/errors.ts'

/** Requests whose path cannot be decoded. */
const malformed = new WeakSet<IncomingMessage>()

/** Converts a request target to path and query: clients of a proxy send the absolute form (RFC 9112 §3.2.2), and `OPTIONS *` has no path. */
function originForm (target: string): string {
  if (target.charCodeAt(0) === 47) return target
  const rest = target === '*' ? '' : target.replace(/^https?:\/\/[^/?#]*/i, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}

const pathOfTarget = (target: string) => target.split(/[?#]/, 1)[0]!

function isDecodable (path: string): boolean {
  try {
    decodeURI(path)
    return true
  } catch {
    return false
  }
}

/**
 * For Fastify's `rewriteUrl`: converts every target into one that can be routed. Fastify rejects a path that it cannot
 * decode before any hook runs, so CORS, rate limit, log and version headers would be missing. Such a path is escaped
 * here, passes the hooks and is rejected by the plugin below.
 */
export function routableTarget (request: IncomingMessage): string {
  const target = originForm(request.url!)
  if (!target.includes('%')) return target
  const path = pathOfTarget(target)
  if (isDecodable(path)) return target
  malformed.add(request)
  return path.replaceAll('%', '%25') + target.slice(path.length)
}

/** The path of a request as the client sent it, percent-encoded, without query and host. */
export const pathOf = (request: Pick<FastifyRequest, 'originalUrl'>): string => pathOfTarget(originForm(request.originalUrl))

/** Rejects malformed paths after CORS and the rate limit, and requests that every HTTP/1.1 server must reject. */
export default fp(async function requestTarget (app) {
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    if (malformed.has(raw)) return done(new UrlMalformed())
    // RFC 9112 §3.2. Node's own answer would have no body and none of our headers.
    if (raw.headers.host === undefined && raw.httpVersion === '1.1') return done(new HostMissing())
    done()
  })
}, { name: 'request-target' })
