import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import type { SQSBatchResponse } from 'aws-lambda'
import { completeEnv, engineEnv } from '../../local/env.ts'
import { readTemplate } from '../../local/template.ts'
import type { DomainEvent } from '../../src/plugins/event-bus.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import type { Engines, Test } from '../engines.ts'
import { streamRecord } from '../outbox.ts'
import type { Item } from './expressions.ts'
import { call } from './schedule.ts'
import { createTables, type Command } from './tables.ts'

const START = Date.parse('2026-11-26T12:00:00.000Z')

/** A message in the queue, as it was sent. */
export interface Message { body: string, attributes: Record<string, { StringValue?: string }>, step: number }

/** A fault that is planted into the service: what becomes of its calls. Returns an answer to give instead, or nothing. */
export type Plant = (command: string, input: Record<string, any>) => object | undefined | void // eslint-disable-line @typescript-eslint/no-explicit-any -- inputs of many commands

/** The writes of a call: those of a transaction, or the call itself. */
export function writesOf (input: Parameters<Plant>[1]): Parameters<Plant>[1][] {
  const { TransactItems } = input as { TransactItems?: object[] }
  return TransactItems === undefined ? [input] : TransactItems.map(write => Object.values(write)[0] as Parameters<Plant>[1])
}

/** Plants a write without its condition: of the calls that `isMeant` chooses. */
export function unconditional (isMeant: (write: Parameters<Plant>[1]) => unknown): Plant {
  return (_command, input) => {
    for (const write of writesOf(input)) {
      if (!isMeant(write)) continue
      delete write['ConditionExpression']
      if (write['UpdateExpression'] === undefined) delete write['ExpressionAttributeValues']
    }
  }
}

/** The conditional writes, in which another transaction may stand in the way: the service repeats them by itself. */
const CAN_CONFLICT = ['TransactWriteCommand', 'UpdateCommand']

export type World = Awaited<ReturnType<typeof createWorld>>

/** Two instances of the real app on tables and a queue in memory, whose calls a schedule releases. The clock stands still. */
export async function createWorld (t: Test) {
  const template = readTemplate()
  const tables = createTables(template.tables)
  const queue: Message[] = []
  const events: DomainEvent[] = []
  const hooks: { plant: Plant | undefined, onCall: (command: string, input: object) => void } = { plant: undefined, onCall: () => {} }

  mock.timers.enable({ apis: ['Date'], now: START })
  // What is random is no choice of the schedule: ids, which also order entries, the first shard of a sweep, the wait after a conflict.
  const { random } = Math
  const { randomUUID } = crypto
  let ids = 0
  Math.random = () => 0
  crypto.randomUUID = () => {
    const number = Math.imul(++ids, 0x9e3779b1) >>> 0
    return `${number.toString(16).padStart(8, '0')}-0000-4000-8000-${ids.toString(16).padStart(12, '0')}`
  }
  syncBuiltinESMExports()
  t.teardown(() => {
    Math.random = random
    crypto.randomUUID = randomUUID
    syncBuiltinESMExports()
    mock.timers.reset()
  })

  function labelOf (name: string, input: Record<string, unknown>): string {
    const keyOf = (item: unknown) => Object.values((item ?? {}) as object).filter(part => typeof part === 'string').slice(0, 2).join(' ')
    const target = (input['TransactItems'] as object[] | undefined)?.flatMap(write => Object.entries(write) as [string, { Key?: object, Item?: Record<string, unknown> }][])
      .map(([kind, { Key, Item = {} }]) => `${kind} ${keyOf(Key ?? { id: Item['userId'] ?? Item['pk'] })}`).join(', ')
    const own = input['Item'] as Record<string, unknown> | undefined
    return `${name} ${target ?? (keyOf(input['Key'] ?? (own === undefined ? input['ExpressionAttributeValues'] : { id: own['userId'] ?? own['pk'] ?? own['messageId'] })))}`
  }

  function send (command: Command): Promise<object> {
    const { name } = command.constructor
    const input = structuredClone(command.input) as Record<string, unknown>
    const planted = hooks.plant?.(name, input)
    return call({
      label: labelOf(name, input),
      execute (lag) {
        hooks.onCall(name, input)
        return planted ?? tables.execute({ input, constructor: { name } }, lag)
      },
      canConflict: CAN_CONFLICT.includes(name),
      isRepeated: true
    })
  }

  function sendMessage ({ input }: Command): Promise<object> {
    const { MessageBody: body = '', MessageAttributes: attributes = {} } = input as { MessageBody?: string, MessageAttributes?: Message['attributes'] }
    return call({
      label: `SendMessage ${body === '' ? '' : (JSON.parse(body) as { type: string }).type}`,
      execute () {
        hooks.onCall('SendMessageCommand', input)
        if (body !== '') queue.push({ body, attributes, step: tables.log.length })
        return {}
      },
      isRepeated: true
    })
  }

  const none = 'http://127.0.0.1:9'
  const env = completeEnv({ ...engineEnv({ template, dynamodb: none, sqs: none, smtp: 'smtp://127.0.0.1:9' }), NODE_ENV: 'test', LOG_LEVEL: 'silent', RATE_LIMIT_MAX: '1000000', CACHE_TTL_SECONDS: '0' })
  const build = async () => {
    const app = await buildTestApp(t, { env, dynamodb: 'dynoxide' } as unknown as Engines, {
      beforeReady (app) {
        Object.assign(app.dynamodb, { send })
        Object.assign(app.sqs, { send: sendMessage })
        app.eventBus.publish = event => call({ label: `publish ${event.type}`, execute () { events.push(event) }, isRepeated: true })
      }
    })
    // The bucket is empty.
    Object.assign(await app.s3.client(), { send: ({ constructor: { name } }: Command) => call({ label: name, execute: () => ({}) }) })
    return app
  }
  const apps: [TestApp, TestApp] = [await build(), await build()]

  /** The new items in a table's stream since the last snapshot, or since a write after it, oldest first. */
  function streamOf (table: string, since = 0) {
    return tables.log.slice(since).filter(change => change.table === table && change.before === undefined && change.after !== undefined).map(({ after }) => streamRecord(table, after as Record<string, unknown>))
  }

  const sweep = (app: TestApp) => app.outbox.sweep({ minAge: -60_000 })

  /** Hands the records of a stream to an app, as Lambda does, without a retry. @returns whether each was handled */
  async function deliver (app: TestApp, Records: object[]): Promise<boolean> {
    if (Records.length === 0) return true
    const { batchItemFailures } = await app.consumers.deliver({ Records }) as SQSBatchResponse
    return batchItemFailures.length === 0
  }

  return {
    tables,
    apps,
    queue,
    events,
    hooks,
    streamOf,
    sweep,
    deliver,
    now: () => Date.now(),
    pass: (ms: number) => { mock.timers.tick(ms) },
    /** Outbox entries that wait. */
    waiting: (): Item[] => ['UsersTable', 'AuthTable'].flatMap(table => tables.itemsOf(table)).filter(item => item['kind'] === 'outbox'),
    /** Does what AWS does afterwards: streams and sweeps, until no outbox entry waits. */
    async drain (): Promise<void> {
      for (let round = 0; round < 10; round++) {
        for (const table of ['UsersTable', 'AuthTable']) await deliver(apps[0], streamOf(table))
        if (this.waiting().length === 0) return
        await sweep(apps[1]).catch((error: AggregateError) => { throw error.errors[0] })
        if (this.waiting().length === 0) return
      }
      throw new Error(`not relayed after ten rounds: ${this.waiting().map(({ type }) => type).join(', ')}`)
    },
    /** An account whose address was proved, and its session. */
    async signIn (email: string) {
      const [app] = apps
      const before = queue.length
      await app.auth.requestCode({ email, registration: { name: 'Ada' }, network: '192.0.2.1' }, 'race')
      await this.drain()
      const { challengeId } = JSON.parse(queue[before]!.body) as { challengeId: string }
      return await app.auth.createTokens({ grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) }, 'race').finally(() => this.drain())
    },
    /** Everything that changes, to go back to before each interleaving. */
    snapshot () {
      const [held, sent, published, time, made] = [tables.snapshot(), [...queue], [...events], Date.now(), ids]
      return () => {
        ids = made
        tables.restore(held)
        queue.splice(0, Infinity, ...sent)
        events.splice(0, Infinity, ...published)
        mock.timers.setTime(time)
      }
    }
  }
}
