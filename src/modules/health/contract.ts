import type { Static } from '@sinclair/typebox'
import type { HealthV1, Readiness } from './schemas.ts'

/** What the routes and the entry of a server may ask of the health module. */
export interface HealthService {
  /** Turns readiness red for good, so that no new work is sent here. To be called some time before the app is closed. */
  drain (): void
  /** Whether requests can be served, and what else is wrong. */
  readiness (): Promise<Omit<Static<typeof Readiness>, 'version'>>
  /** Version 1's answer. */
  check (): Promise<Static<typeof HealthV1>>
}

declare module 'fastify' {
  interface FastifyInstance {
    health: HealthService
  }
}
