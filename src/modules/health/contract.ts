/** What the entry of a server may ask of the health module. */
export interface HealthService {
  /** Turns readiness red for good, so that no new work is sent here. To be called some time before the app is closed. */
  drain (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    health: HealthService
  }
}
