import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { basePathOf } from '../shared/base-path.ts'
import { Gone } from '../shared/errors.ts'
import type { Config } from './config.ts'
import { pathOf } from './request-target.ts'

export type Version = 'v1' | 'v2'

/** The day on which v2 replaced v1, as an RFC 9745 date in seconds since the epoch. */
const DEPRECATED_SINCE = `@${Date.UTC(2026, 10, 22) / 1000}`

/** The version of a path, decoded like in the router: `/%76%31/x` is `/v1/x`, but `/%2Fv1` and `/V1` are not. */
export function versionOfPath (path: string): Version | undefined {
  // One character decides most paths: only `v`, or a `%` that may encode it, can start a version.
  const first = path.charCodeAt(1)
  if (first !== 118 && first !== 37) return undefined
  let [segment = ''] = path.slice(1).split(/[/?#]/, 1)
  if (segment.includes('%')) {
    try {
      segment = decodeURI(segment)
    } catch {
      return undefined
    }
  }
  return segment === 'v1' || segment === 'v2' ? segment : undefined
}

/** The versions of the routes' patterns. */
const ofRoutes = new Map<string, Version | undefined>()

/** The version of a route, by its pattern. */
function versionOfRoute (pattern: string): Version | undefined {
  if (!ofRoutes.has(pattern)) ofRoutes.set(pattern, versionOfPath(pattern))
  return ofRoutes.get(pattern)
}

/** The version of a request: that of its route, or of its path when no route of the app has matched. */
export function versionOf (request: FastifyRequest): Version | undefined {
  const { url } = request.routeOptions
  // The wildcard route for preflights belongs to @fastify/cors and does not count.
  return url?.startsWith('/') === true ? versionOfRoute(url) : versionOfPath(pathOf(request))
}

/** The headers that announce the end of v1. */
export function lifecycleHeaders ({ V1_SUNSET, PUBLIC_URL }: Pick<Config, 'V1_SUNSET' | 'PUBLIC_URL'>): Record<string, string> {
  return {
    deprecation: DEPRECATED_SINCE,
    sunset: new Date(V1_SUNSET).toUTCString(),
    link: `<${basePathOf(PUBLIC_URL)}/openapi/v2.json>; rel="successor-version"`
  }
}

/** Sets the lifecycle headers on a v1 answer. */
export function setLifecycleHeaders (request: FastifyRequest, reply: FastifyReply): void {
  if (versionOf(request) === 'v1') reply.headers(lifecycleHeaders(reply.server.config))
}

/** Sets v1's lifecycle headers on every v1 answer, and answers 410 once v1 has ended. */
export default fp(async function versions (app) {
  if (!app.config.V1_ENABLED) {
    app.addHook('onRequest', (request, _reply, done) => done(versionOf(request) === 'v1' ? new Gone() : undefined))
  }
  // In onSend, so that answers from other hooks have the headers too: preflights, 429, 404.
  app.addHook('onSend', (request, reply, payload, done) => {
    setLifecycleHeaders(request, reply)
    done(null, payload)
  })
}, { name: 'versions', dependencies: ['config'] })
