import fp from 'fastify-plugin'

// OWASP REST Security Cheat Sheet. Static, so that they cost one loop a request; a page that needs another policy
// (/docs, /verify) sets its own before this hook looks.
const HEADERS: Record<string, string> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
}

/** Security headers on every answer, and no caching by default: most answers here belong to one person. */
export default fp(async function securityHeaders (app) {
  app.addHook('onSend', async (_request, reply) => {
    for (const name in HEADERS) if (!reply.hasHeader(name)) reply.header(name, HEADERS[name])
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
}, { name: 'security-headers' })
