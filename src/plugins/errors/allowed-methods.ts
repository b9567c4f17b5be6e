import type { FastifyInstance } from 'fastify'
import createRouter, { type HTTPMethod } from 'find-my-way'

/**
 * Finds the methods that a path supports. It uses Fastify's own router library, so that percent-encoding, parameters and
 * slashes are handled the same way. Call it before the routes are registered.
 */
export function createAllowedMethods (app: FastifyInstance): (url: string) => string[] {
  const router = createRouter({ maxParamLength: app.initialConfig.routerOptions?.maxParamLength ?? 100 })
  const methods = new Set<HTTPMethod>()
  app.addHook('onRoute', ({ url, method }) => {
    // The wildcard route for preflights belongs to @fastify/cors and does not count.
    if (url === '*') return
    for (const name of [method].flat() as HTTPMethod[]) {
      methods.add(name)
      if (!router.hasRoute(name, url)) router.on(name, url, () => {})
    }
  })
  return url => [...methods].filter(method => router.find(method, url) !== null).sort()
}
