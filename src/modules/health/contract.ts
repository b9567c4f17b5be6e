import type { Static } from '@sinclair/typebox'
import type { HealthV1, Readiness } from './schemas.ts'

/** The interface of the health module for its routes and for the server's entry point. */
export interface HealthService {
  /** Makes readiness fail from now on, so that no new requests are sent here. Call it some time before the app is closed. */
  drain (): void
  /** Whether requests can be served, and the state of each dependency. */
  readiness (): Promise<Omit<Static<typeof Readiness>, 'version'>>
  /** Version 1's answer. */
  check (): Promise<Static<typeof HealthV1>>
}

declare module 'fastify' {
  interface FastifyInstance {
    health: HealthService
  }
}
