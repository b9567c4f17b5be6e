import fp from 'fastify-plugin'
import type {} from './aws/index.ts'
import type {} from './spans.ts'

/** An event for other services: the contract of the EventBridge entries' `detail`. */
export interface DomainEvent {
  eventId: string
  type: string
  version: 1
  /** ISO 8601 */
  occurredAt: string
  correlationId: string
  /** W3C's, of the request that caused it; added when it is published, where traces are on */
  traceparent?: string
  data: object
}

export interface EventBus {
  /** Does nothing when no bus is configured. Rejects when the bus did not accept the event. */
  publish (event: DomainEvent): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    eventBus: EventBus
  }
}

/** Publishes domain events to EventBridge. The first event loads the client: a cold start that answers a request publishes none. */
export default fp(async function eventBus (app) {
  const { EVENT_BUS_NAME, SERVICE_NAME } = app.config
  if (EVENT_BUS_NAME === undefined) {
    app.decorate('eventBus', { async publish () {} })
    return
  }

  async function open () {
    const { EventBridgeClient, PutEventsCommand } = await import('@aws-sdk/client-eventbridge')
    return { client: app.aws.traced(new EventBridgeClient(app.aws.clientOptions())), PutEventsCommand }
  }
  let opening: ReturnType<typeof open> | undefined

  app.decorate('eventBus', {
    async publish (event) {
      opening ??= open()
      const { client, PutEventsCommand } = await opening
      const { FailedEntryCount, Entries } = await client.send(new PutEventsCommand({
        Entries: [{ EventBusName: EVENT_BUS_NAME, Source: SERVICE_NAME, DetailType: event.type, Time: new Date(event.occurredAt), Detail: JSON.stringify({ ...event, traceparent: app.spans.traceparent() }) }]
      }))
      // PutEvents answers 200 even for entries that it did not accept.
      if (FailedEntryCount !== 0) throw new Error(`EventBridge did not accept the event: ${Entries?.[0]?.ErrorCode ?? 'no reason given'}`)
    }
  })
  app.addHook('onClose', async () => { (await opening)?.client.destroy() })
}, { name: 'event-bus', dependencies: ['config', 'aws', 'spans'] })
