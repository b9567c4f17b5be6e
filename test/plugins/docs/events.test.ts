import { Type } from '@sinclair/typebox'
import t from 'tap'
import { asyncApiOf, fileOf, indexOf, schemaOf } from '../../../src/plugins/docs/events.ts'

const ID = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
const info = { title: 'Orders', version: '1.0.0', description: 'What happens to orders', contact: { name: 'Us' }, license: { name: 'MIT' } }

const placed = { type: 'order.placed', description: 'An order was placed', data: Type.Object({ orderId: Type.Integer({ minimum: 1 }) }) }
const paid = { type: 'order.paid_in-full', description: 'An order was paid', data: Type.Object({}) }
const queue = {
  name: 'orderQueue',
  description: 'Orders to pack',
  message: Type.Object({ kind: Type.Union([Type.Literal('small'), Type.Literal('large')], { 'x-expected': 'a size' }) }),
  attributes: Type.Object({ correlationId: Type.String({ examples: ['c1'] }) })
}

const ref = (path: string) => ({ $ref: `#/${path}` })

const example = (type: string, data: object) => ({
  eventId: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11',
  type,
  version: 1,
  occurredAt: '2026-11-22T12:00:00.000Z',
  correlationId: '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  data
})

t.test('the schema of an event has an address of its own, and an example', async t => {
  t.equal(fileOf('order.placed'), 'order.placed.v1.json')
  const schema = schemaOf(placed, 'https://orders.example.com') as { properties: Record<string, object>, required: string[] }
  t.match(schema, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://orders.example.com/schemas/order.placed.v1.json',
    title: 'order.placed',
    description: 'An order was placed',
    type: 'object',
    examples: [example('order.placed', { orderId: 1 })]
  })
  t.strictSame(schema.required, ['eventId', 'type', 'version', 'occurredAt', 'correlationId', 'data'])
  t.match(schema.properties, {
    eventId: { type: 'string', pattern: ID, description: 'The same for every delivery of this event' },
    type: { const: 'order.placed' },
    version: { const: 1 },
    occurredAt: { format: 'date-time' },
    correlationId: { maxLength: 64, description: 'Id of the request that caused the event' },
    data: { type: 'object', properties: { orderId: { type: 'integer', minimum: 1, format: 'int64' } } }
  })
})

t.test('the list of schemas names the address of each', async t => {
  t.strictSame(indexOf([placed, paid], 'https://orders.example.com'), {
    schemas: [
      { type: 'order.placed', version: 1, description: 'An order was placed', url: 'https://orders.example.com/schemas/order.placed.v1.json' },
      { type: 'order.paid_in-full', version: 1, description: 'An order was paid', url: 'https://orders.example.com/schemas/order.paid_in-full.v1.json' }
    ],
    asyncapi: 'https://orders.example.com/asyncapi.json'
  })
})

t.test('the AsyncAPI document has the events on the bus, and the messages of each queue', async t => {
  const document = asyncApiOf({ info, events: [placed, paid], queues: [queue] }) as { components: { schemas: Record<string, object> }, channels: Record<string, object>, operations: Record<string, object> }
  const { components, channels, operations, ...head } = document
  const region = { region: { description: 'The AWS region of the deployment', default: 'eu-central-1' } }
  t.strictSame(head, {
    asyncapi: '3.0.0',
    info: { ...info, tags: [{ name: 'events', description: 'Announcements for other services' }, { name: 'queues', description: 'Work for this service' }] },
    defaultContentType: 'application/json',
    servers: {
      eventBus: { host: 'events.{region}.amazonaws.com', protocol: 'eventbridge', description: 'Amazon EventBridge', variables: region },
      queues: { host: 'sqs.{region}.amazonaws.com', protocol: 'sqs', description: 'Amazon SQS', variables: region }
    }
  })
  const event = (type: string, summary: string, data: object) => ({
    name: type,
    title: type,
    summary,
    contentType: 'application/json',
    correlationId: { location: '$message.payload#/correlationId' },
    payload: ref(`components/schemas/${type}`),
    examples: [{ name: 'example', payload: example(type, data) }]
  })
  const { $schema, $id, ...body } = schemaOf(placed, '') as Record<string, unknown>
  const { schemas, ...messages } = components
  t.strictSame(schemas['order.placed'], body)
  t.strictSame(schemas['orderQueue'], { type: 'object', required: ['kind'], properties: { kind: { type: 'string', enum: ['small', 'large'] } } })
  t.strictSame(messages, {
    messages: {
      orderPlaced: event('order.placed', 'An order was placed', { orderId: 1 }),
      orderPaidInFull: event('order.paid_in-full', 'An order was paid', {}),
      orderQueue: {
        name: 'orderQueue',
        title: 'orderQueue',
        summary: 'Orders to pack',
        contentType: 'application/json',
        correlationId: { location: '$message.header#/correlationId' },
        headers: { type: 'object', required: ['correlationId'], properties: { correlationId: { type: 'string', examples: ['c1'] } } },
        payload: ref('components/schemas/orderQueue'),
        examples: [{ name: 'example', headers: { correlationId: 'c1' }, payload: { kind: 'small' } }]
      }
    }
  })
  t.match(channels['events'], {
    address: 'EVENT_BUS_NAME',
    servers: [ref('servers/eventBus')],
    messages: { orderPlaced: ref('components/messages/orderPlaced'), orderPaidInFull: ref('components/messages/orderPaidInFull') }
  })
  t.strictSame(channels['orderQueue'], { address: 'orderQueue', title: 'orderQueue', description: 'Orders to pack', servers: [ref('servers/queues')], messages: { orderQueue: ref('components/messages/orderQueue') } })
  t.strictSame(Object.keys(operations), ['publishEvents', 'sendOrderQueue', 'receiveOrderQueue'])
  const onQueue = { tags: [{ name: 'queues' }], channel: ref('channels/orderQueue'), messages: [ref('channels/orderQueue/messages/orderQueue')] }
  t.match(operations, {
    publishEvents: { action: 'send', tags: [{ name: 'events' }], channel: ref('channels/events'), messages: [ref('channels/events/messages/orderPlaced'), ref('channels/events/messages/orderPaidInFull')] },
    sendOrderQueue: { action: 'send', ...onQueue },
    receiveOrderQueue: { action: 'receive', ...onQueue }
  })
})

t.test('without queues no server of queues is named', async t => {
  const { servers, channels } = asyncApiOf({ info, events: [placed], queues: [] }) as { servers: object, channels: object }
  t.strictSame([Object.keys(servers), Object.keys(channels)], [['eventBus'], ['events']])
})
