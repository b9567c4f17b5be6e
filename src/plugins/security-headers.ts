import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

// From the OWASP REST Security Cheat Sheet.
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
}

const DEFAULTS: Readonly<Record<string, string>> = { ...SECURITY_HEADERS, 'cache-control': 'no-store' }

/** Sets the headers that the answer has unless its route sets its own. */
export function setSecurityHeaders (reply: FastifyReply): void {
  reply.headers(DEFAULTS)
}

/**
 * Security headers on every answer, and no caching by default, because most answers belong to one user. They are set before
 * the route sets its headers: afterwards each would have to be looked up first.
 */
export default fp(async function securityHeaders (app) {
  app.addHook('onRequest', (_request, reply, done) => {
    setSecurityHeaders(reply)
    done()
  })
}, { name: 'security-headers' })
