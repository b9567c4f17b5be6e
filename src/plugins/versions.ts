import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Gone } from '../shared/errors.ts'
import type { Config } from './config.ts'
import { pathOf } from './request-target.ts'

export type Version = 'v1' | 'v2'

/** Day on which v2 replaced v1, as an RFC 9745 date: seconds since the epoch. */
const DEPRECATED_SINCE = `@${Date.UTC(2026, 10, 22) / 1000}`

/** The version of a path, decoded as the router decodes it: `/%76%31/x` is `/v1/x`, `/%2Fv1` and `/V1` are not. */
export function versionOfPath (path: string): Version | undefined {
  // Most paths are decided by one letter: `v`, or a `%` that may stand for one.
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

/** The version of a request: that of its route, and where no route of ours has matched, that of its path. */
export function versionOf (request: FastifyRequest): Version | undefined {
  const { url } = request.routeOptions
  // The wildcard that answers preflights is no route of ours.
  return versionOfPath(url?.startsWith('/') === true ? url : pathOf(request))
}

/** The headers that say when v1 ends. */
export function lifecycleHeaders ({ V1_SUNSET, PUBLIC_URL }: Pick<Config, 'V1_SUNSET' | 'PUBLIC_URL'>): Record<string, string> {
  return {
    deprecation: DEPRECATED_SINCE,
    sunset: new Date(V1_SUNSET).toUTCString(),
    link: `<${new URL(PUBLIC_URL).pathname.replace(/\/$/, '')}/openapi/v2.json>; rel="successor-version"`
  }
}

/** Sets them on an answer of v1. */
export function setLifecycleHeaders (request: FastifyRequest, reply: FastifyReply): void {
  if (versionOf(request) === 'v1') reply.headers(lifecycleHeaders(reply.server.config))
}

/** Sets v1's lifecycle headers on every v1 answer, and answers 410 once v1 has ended. */
export default fp(async function versions (app) {
  if (!app.config.V1_ENABLED) {
    app.addHook('onRequest', (request, _reply, done) => done(versionOf(request) === 'v1' ? new Gone() : undefined))
  }
  // On sending, so that answers which other hooks give have them as well: preflights, 429, 404.
  app.addHook('onSend', (request, reply, payload, done) => {
    setLifecycleHeaders(request, reply)
    done(null, payload)
  })
}, { name: 'versions', dependencies: ['config'] })
