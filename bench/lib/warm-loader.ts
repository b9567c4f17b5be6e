import type { APIGatewayProxyEvent } from 'aws-lambda'
import { lambdaContext } from './events.ts'
import { serveOrders } from './serve-orders.ts'

// A warm process: loads a bundle whose calls to AWS are stubbed, then runs invocations as its parent asks.

/** What the parent asks for: so many invocations of one event. */
export interface Order { event: APIGatewayProxyEvent, count: number }
/** The last answer; µs of time and of CPU (all threads) that an invocation took; and how many calls to AWS were made. */
export interface Done { answer: unknown, time: number, cpu: number, calls: number }

type Command = { constructor: { name: string }, input: { Key?: { userId?: string }, SecretId?: string } }

const { item, secret } = JSON.parse(process.env['BENCH_STUB']!) as { item: { userId: string }, secret: string }
const METADATA = { httpStatusCode: 200, attempts: 1, totalRetryDelay: 0 }
let calls = 0

Object.assign(globalThis, {
  [Symbol.for('bench.aws')] (command: Command) {
    calls++
    const { name } = command.constructor
    if (name.includes('GetSecretValue')) return Promise.resolve({ $metadata: METADATA, SecretString: command.input.SecretId!.includes('Code') ? `${secret}, for codes` : secret })
    if (name.includes('Get') && command.input.Key?.userId === item.userId) return Promise.resolve({ $metadata: METADATA, Item: item })
    return Promise.resolve({ $metadata: METADATA })
  }
})

const { handler } = await import(`${process.argv[2]}/index.mjs`) as { handler (event: unknown, context: unknown): Promise<unknown> }
const context = lambdaContext()

async function work ({ event, count }: Order): Promise<Done> {
  let answer: unknown
  calls = 0
  const before = process.cpuUsage()
  const start = performance.now()
  for (let done = 0; done < count; done++) {
    // Some frameworks change the event, so each invocation gets a copy of what they change.
    answer = await handler({ ...event, headers: { ...event.headers } }, context)
    // Lambda's runtime client waits for each event. Without a turn of the event loop, what `nextTick` and `setImmediate` have
    // put off would pile up, and the benchmark would measure its garbage collection.
    await new Promise(setImmediate)
  }
  const { user, system } = process.cpuUsage(before)
  return { answer, time: (performance.now() - start) * 1000 / count, cpu: (user + system) / count, calls }
}

serveOrders(work)
