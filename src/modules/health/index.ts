import fp from 'fastify-plugin'

/** Whether the process lives, and whether what it needs answers. */
export default fp(async function health (app) {
  app.get('/health/live', { config: { rateLimit: false } }, async () => ({ status: 'healthy' }))
}, { name: 'health', dependencies: ['config', 'dynamodb', 'sqs', 'cache'] })
