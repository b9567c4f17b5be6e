/** What the entry of a server may ask of the health module. */
export interface HealthService {
  /** Turns readiness red, so that no new work is sent here; closing the app does it too, but only when it is already closing. */
  drain (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    health: HealthService
  }
}
