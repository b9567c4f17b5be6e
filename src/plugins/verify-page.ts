import fp from 'fastify-plugin'

/** The page behind the link of an e-mail. */
export default fp(async function verifyPage (app) {
  app.get('/verify', { schema: { hide: true } }, async (_request, reply) => reply.type('text/html; charset=utf-8').send('<!doctype html>'))
}, { name: 'verify-page', dependencies: ['config'] })
