import { Type, type TSchema } from '@sinclair/typebox'
import { CorrelationId, Id, Timestamp } from '../../shared/ids.ts'
import { Traceparent } from '../../shared/traceparent.ts'
import type { Info } from './api-text.ts'
import { exampleOf } from './examples.ts'
import { readable, type Schema } from './readable.ts'

/** An event that a module publishes. */
export interface EventDeclaration {
  type: string
  description: string
  /** of the `data` of the event */
  data: TSchema
}

/** The messages of a queue that a module owns. */
export interface QueueDeclaration {
  /** name of the channel, in camel case */
  name: string
  description: string
  message: TSchema
  /** the attributes of a message */
  attributes: TSchema
}

/** The version of all events. A change that breaks consumers is published as a second version beside the first. */
const VERSION = 1

export const fileOf = (type: string) => `${type}.v${VERSION}.json`

const camelCase = (type: string) => type.replace(/[^a-zA-Z0-9](\w)/g, (_, letter: string) => letter.toUpperCase())
const capitalized = (name: string) => name.replace(/./, letter => letter.toUpperCase())
const clean = (schema: TSchema) => readable(JSON.parse(JSON.stringify(schema))) as Schema

/** The JSON Schema of an event: what EventBridge delivers as `detail`. Consumers ignore properties that they do not know. */
function bodyOf ({ type, description, data }: EventDeclaration): Schema {
  const schema = clean(Type.Object({
    eventId: Type.Unsafe<string>({ ...Id, description: 'The same for every delivery of this event' }),
    type: Type.Literal(type),
    version: Type.Literal(VERSION),
    occurredAt: Timestamp,
    correlationId: Type.Unsafe<string>({ ...CorrelationId, description: 'Id of the request that caused the event' }),
    traceparent: Type.Optional(Traceparent),
    data
  }))
  return { title: type, description, ...schema, examples: [exampleOf(schema)] }
}

/** The document under `/schemas/` of an event. `publicUrl` is where the service is reached, without a slash at the end. */
export function schemaOf (event: EventDeclaration, publicUrl: string): object {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: `${publicUrl}/schemas/${fileOf(event.type)}`, ...bodyOf(event) }
}

/** The list under `/schemas/`. */
export function indexOf (events: EventDeclaration[], publicUrl: string): object {
  return {
    schemas: events.map(({ type, description }) => ({ type, version: VERSION, description, url: `${publicUrl}/schemas/${fileOf(type)}` })),
    asyncapi: `${publicUrl}/asyncapi.json`
  }
}

const reference = (path: string) => ({ $ref: `#/${path}` })

const region = { region: { description: 'The AWS region of the deployment', default: 'eu-central-1' } }

/** The AsyncAPI document: the events on the bus, and the messages in the queues. */
export function asyncApiOf ({ info, events, queues }: { info: Info, events: EventDeclaration[], queues: QueueDeclaration[] }): object {
  const messages: Record<string, object> = {}
  const schemas: Record<string, Schema> = {}

  for (const event of events) {
    const schema = bodyOf(event)
    schemas[event.type] = schema
    messages[camelCase(event.type)] = {
      name: event.type,
      title: event.type,
      summary: event.description,
      contentType: 'application/json',
      correlationId: { location: '$message.payload#/correlationId' },
      payload: reference(`components/schemas/${event.type}`),
      examples: [{ name: 'example', payload: (schema['examples'] as unknown[])[0] }]
    }
  }
  for (const { name, description, message, attributes } of queues) {
    const [payload, headers] = [clean(message), clean(attributes)]
    schemas[name] = payload
    messages[name] = {
      name,
      title: name,
      summary: description,
      contentType: 'application/json',
      correlationId: { location: '$message.header#/correlationId' },
      headers,
      payload: reference(`components/schemas/${name}`),
      examples: [{ name: 'example', headers: exampleOf(headers), payload: exampleOf(payload) }]
    }
  }

  const eventMessages = events.map(({ type }) => camelCase(type))
  const channel = (names: string[]) => Object.fromEntries(names.map(name => [name, reference(`components/messages/${name}`)]))
  const used = (channelName: string, names: string[]) => ({ channel: reference(`channels/${channelName}`), messages: names.map(name => reference(`channels/${channelName}/messages/${name}`)) })
  const onQueues = <T>(entries: (queue: QueueDeclaration) => [string, T][]) => Object.fromEntries(queues.flatMap(entries))
  return {
    asyncapi: '3.0.0',
    info: { ...info, tags: [{ name: 'events', description: 'Announcements for other services' }, { name: 'queues', description: 'Work for this service' }] },
    defaultContentType: 'application/json',
    servers: {
      eventBus: { host: 'events.{region}.amazonaws.com', protocol: 'eventbridge', description: 'Amazon EventBridge', variables: region },
      ...(queues.length === 0 ? {} : { queues: { host: 'sqs.{region}.amazonaws.com', protocol: 'sqs', description: 'Amazon SQS', variables: region } })
    },
    channels: {
      events: {
        address: 'EVENT_BUS_NAME',
        title: 'Domain events',
        description: 'The bus that `EVENT_BUS_NAME` names. The source of an entry is `SERVICE_NAME`, its detail type is the type of the event, and its detail is the message. Delivered at least once and in any order: `eventId` recognises a repetition, and `data.userVersion` the order.',
        servers: [reference('servers/eventBus')],
        messages: channel(eventMessages)
      },
      ...onQueues(({ name, description }) => [[name, { address: name, title: name, description, servers: [reference('servers/queues')], messages: channel([name]) }]])
    },
    operations: {
      publishEvents: { action: 'send', title: 'Publish', summary: 'Announce a change', tags: [{ name: 'events' }], description: 'Announces each change after it has been written.', ...used('events', eventMessages) },
      ...onQueues(({ name, description }) => [
        [`send${capitalized(name)}`, { action: 'send', title: 'Queue', summary: 'Put a message on the queue', tags: [{ name: 'queues' }], description, ...used(name, [name]) }],
        [`receive${capitalized(name)}`, { action: 'receive', title: 'Work', summary: 'Take a message from the queue', tags: [{ name: 'queues' }], description: 'Receives each message at least once. A message that fails three times is moved to the dead-letter queue.', ...used(name, [name]) }]
      ])
    },
    components: { messages, schemas }
  }
}
