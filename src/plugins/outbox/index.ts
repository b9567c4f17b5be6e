import fp from 'fastify-plugin'
import type { OutboxEntry } from '../../shared/outbox.ts'
import { createRelay, type Handler, type SweepOptions, type SweepResult } from './relay.ts'
import { createStore, type EntryOf, type EntrySchemas, type Outbox, type OutboxOptions, type OutboxStore } from './store.ts'

export type { EntryOf, Outbox } from './store.ts'

/**
 * The transactional outbox. A write that must be announced puts an entry into the table in the same transaction. The
 * table's stream passes the entry to the handler of its type, and then the entry is removed. Entries that the stream could
 * not deliver stay in the table, where the sweep finds them through a sparse index.
 */
export interface Outboxes {
  /** Opens the outbox in the caller's table and registers it for the table's stream and for the sweep. */
  open<S extends EntrySchemas> (options: OutboxOptions<S>): Outbox<EntryOf<S>>
  /** Registers the handler of a type. Each type of an open outbox must have exactly one handler, or the app does not start. */
  on<E extends OutboxEntry> (type: E['type'], handler: (entry: E) => Promise<void>): void
  /** Handles entries that the streams could not deliver. Rejects when an entry still cannot be handled. */
  sweep (options?: SweepOptions): Promise<SweepResult>
}

declare module 'fastify' {
  interface FastifyInstance {
    outbox: Outboxes
  }
}

export default fp(async function outbox (app) {
  const stores = new Map<string, OutboxStore>()
  const handlers = new Map<string, Handler>()
  const relay = createRelay({ run: app.spans.run, handlerOf: type => handlers.get(type), count: app.metrics.count, log: app.log })

  app.decorate('outbox', {
    open (options) {
      const store = createStore(app.dynamodb, options, app.spans.traceparent)
      stores.set(store.table, store)
      app.consumers.add({ table: store.table }, async (event, invocation) => await relay.handleBatch(store, event, invocation))
      return store
    },

    on (type, handler) {
      if (handlers.has(type)) throw new Error(`outbox: ${type} has two handlers`)
      handlers.set(type, handler as Handler)
    },

    sweep: (options = {}) => relay.sweep(stores.values(), options)
  })

  app.addHook('onReady', async () => {
    const types = [...stores.values()].flatMap(store => store.types)
    for (const type of types) if (!handlers.has(type)) throw new Error(`outbox: ${type} has no handler`)
    for (const type of handlers.keys()) if (!types.includes(type)) throw new Error(`outbox: no open outbox has the type ${type}`)
  })
}, { name: 'outbox', dependencies: ['dynamodb', 'consumers', 'metrics', 'spans'] })
