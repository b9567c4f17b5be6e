import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DomainEvent } from '../src/plugins/event-bus.ts'
import type { Test } from './engines.ts'

/** An event bus that keeps what it is sent, and takes its time over it. */
export interface TestBus {
  /** for buildTestApp */
  readonly env: Record<string, string>
  readonly events: DomainEvent[]
  isUp: boolean
  /** whether it answers at all */
  isSilent: boolean
  eventsOf (userId: string): DomainEvent[]
}

export async function startEventBus (t: Test): Promise<TestBus> {
  const events: DomainEvent[] = []
  const server = createServer(async (request, response) => {
    const { Entries } = await json(request) as { Entries: { Detail: string }[] }
    if (bus.isSilent) return
    await sleep(Math.random() * 10)
    if (bus.isUp) events.push(...Entries.map(({ Detail }) => JSON.parse(Detail) as DomainEvent))
    const answer = bus.isUp ? { FailedEntryCount: 0, Entries: [{ EventId: 'x' }] } : { FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] }
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const bus: TestBus = {
    env: { EVENT_BUS_NAME: 'domain', AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    events,
    isUp: true,
    isSilent: false,
    eventsOf: userId => events.filter(({ data }) => (data as { userId: string }).userId === userId)
  }
  return bus
}

/** Refuses properties that a schema does not name. */
function closed (node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]))
  return copy['type'] === 'object' && copy['properties'] !== undefined ? { additionalProperties: false, ...copy } : copy
}

/** Says what is wrong with an event, by the schemas under `/schemas/`; nothing when it keeps its own. */
export function createEventChecker (schemas: object[]) {
  const ajv = new Ajv2020({ allErrors: true, strict: false })
  addFormats.default(ajv)
  const checks = new Map((schemas.map(closed) as { title: string }[]).map(schema => [schema.title, ajv.compile(schema)]))
  return function faults (event: DomainEvent): string[] {
    const check = checks.get(event.type)
    if (check === undefined) return [`${event.type} has no schema`]
    return check(event) ? [] : check.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)
  }
}
