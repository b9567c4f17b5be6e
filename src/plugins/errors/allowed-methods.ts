import type { FastifyInstance } from 'fastify'
import createRouter, { type HTTPMethod } from 'find-my-way'

/**
 * Which methods a path can be requested with, asked of the router that Fastify itself uses: percent-encoding, parameters
 * and slashes are its to judge. To be called before the routes are registered.
 */
export function createAllowedMethods (app: FastifyInstance): (url: string) => string[] {
  const router = createRouter({ maxParamLength: app.initialConfig.routerOptions?.maxParamLength ?? 100 })
  const methods = new Set<HTTPMethod>()
  app.addHook('onRoute', ({ url, method }) => {
    // The wildcard that answers every preflight is no path of ours.
    if (url === '*') return
    for (const name of [method].flat() as HTTPMethod[]) {
      methods.add(name)
      if (!router.hasRoute(name, url)) router.on(name, url, () => {})
    }
  })
  return url => [...methods].filter(method => router.find(method, url) !== null).sort()
}
