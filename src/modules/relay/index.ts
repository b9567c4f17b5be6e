import fp from 'fastify-plugin'
import { createRelay } from './service.ts'

/** The relay between the tables' streams and everything that follows from a write. */
export default fp(async function relay (app) {
  const { auth, email, eventBus, log, metrics, users } = app
  app.decorate('relay', createRelay({ users, auth, email, count: metrics.count, log, publishEvent: eventBus.publish }))
}, { name: 'relay', dependencies: ['users', 'auth', 'email', 'event-bus', 'metrics'] })
