import fp from 'fastify-plugin'
import { createBreaker, type Breaker, type BreakerOptions, type BreakerState } from '../shared/breaker.ts'
import type {} from './metrics.ts'

export interface Breakers {
  /** Makes the circuit breaker of a dependency, and logs the changes of its state. `onOpen` and `onClose` count them. */
  add (dependency: string, options: Omit<BreakerOptions, 'onChange'> & { onOpen: () => void, onClose: () => void }): Breaker
  /** `undefined` for a dependency without a breaker in this process */
  stateOf (dependency: string): BreakerState | undefined
}

declare module './metrics.ts' {
  interface MetricNames {
    /** 1 while calls of a dependency are rejected because it does not answer, by dependency */
    BreakerOpen: 'state'
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    breakers: Breakers
  }
}

/** The circuit breakers of this process, so that their states can be shown together. See docs/adr/0166-one-circuit-breaker.md. */
export default fp(async function breakers (app) {
  const byDependency = new Map<string, Breaker>()
  const log = {
    open: (dependency: string) => app.log.warn({ dependency, breaker: 'open' }, 'a dependency does not answer; it is tried once a second'),
    'half-open': (dependency: string) => app.log.debug({ dependency, breaker: 'half-open' }, 'trying whether a dependency answers again'),
    closed: (dependency: string) => app.log.info({ dependency, breaker: 'closed' }, 'a dependency answers again')
  }
  app.decorate('breakers', {
    add (dependency, { onOpen, onClose, ...options }) {
      const show = (state: BreakerState) => app.metrics.show('BreakerOpen', dependency, state === 'closed' ? 0 : 1)
      show('closed')
      const breaker = createBreaker({
        ...options,
        onChange (state) {
          log[state](dependency)
          show(state)
          if (state === 'open') onOpen()
          else if (state === 'closed') onClose()
        }
      })
      byDependency.set(dependency, breaker)
      return breaker
    },
    stateOf: dependency => byDependency.get(dependency)?.state
  })
}, { name: 'breakers', dependencies: ['metrics'] })
