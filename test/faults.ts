import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { TestApp } from './app.ts'

// The one place that injects faults into AWS clients, by middleware of the SDK: what no engine can do (throttling, lost
// answers, conflicts), and what a test wants to see of the calls.

/** Any client of the SDK: all share the shape of their middleware. */
export interface Client { middlewareStack: unknown }

export interface Call {
  /** `PutItemCommand`, `SendMessageCommand` … */
  command: string
  /** as the SDK's client takes it: attribute values in their typed form */
  input: Record<string, unknown>
  /** counted from 1 over all calls of the interception */
  attempt: number
  /** what goes over the line; only `onTheLine` */
  request: { body: string | Uint8Array }
  send: () => Promise<unknown>
}

export interface InterceptOptions {
  /** only calls of this command */
  command?: string
  /** below the SDK's retries, where each attempt is seen and answers can be lost; else each call is seen once */
  onTheLine?: boolean
}

/** An engine that a test of faults can stop and start again: same port, same data. */
export interface Restartable {
  stop (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  start (): Promise<void>
}

let interceptions = 0

/** Puts a step between a client and its calls. @returns what takes it out again */
export function intercept (client: Client, { command, onTheLine = true }: InterceptOptions, step: (call: Call) => Promise<unknown>): () => void {
  const name = `intercept${++interceptions}`
  const stack = client.middlewareStack as DynamoDBDocumentClient['middlewareStack']
  let attempt = 0
  stack.add((next, context) => async (args) => {
    const called = String(context['commandName'])
    if (command !== undefined && called !== command) return await next(args)
    const { input, request } = args as unknown as { input: Record<string, unknown>, request: { body: string } }
    return await step({ command: called, input, request, attempt: ++attempt, send: () => next(args) }) as Awaited<ReturnType<typeof next>>
  }, (onTheLine ? { step: 'deserialize', priority: 'low', name } : { step: 'initialize', name }) as Parameters<typeof stack.add>[1] & { step: 'deserialize' })
  return () => { stack.remove(name) }
}

/** What a client's retries see when the line breaks. */
export function lineError (): Error {
  return Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET' })
}

/** How DynamoDB refuses a call of a table that has too many. */
export function throttled (): Error {
  return Object.assign(new Error('throttled'), { name: 'ProvisionedThroughputExceededException', $fault: 'client', $metadata: { httpStatusCode: 400 }, $retryable: { throttling: true } })
}

/** How DynamoDB reports that a transaction met another one. Neither engine ever does. */
export function transactionConflict (): Error {
  return Object.assign(new Error('Transaction cancelled'), {
    name: 'TransactionCanceledException',
    $metadata: { httpStatusCode: 400 },
    CancellationReasons: [{ Code: 'TransactionConflict' }, { Code: 'None' }, { Code: 'None' }]
  })
}

/** Loses the answer of the next call of a command after it was carried out, and makes the engine forget the request's token. */
export function loseOneAnswer (client: Client, command: string): { wasLost: () => boolean, stop: () => void } {
  let lost = false
  const stop = intercept(client, { command }, async ({ request, send }) => {
    if (lost) request.body = (typeof request.body === 'string' ? request.body : new TextDecoder().decode(request.body)).replace(/"ClientRequestToken":"[^"]*"/, `"ClientRequestToken":"${crypto.randomUUID()}"`)
    const answer = await send()
    if (lost) return answer
    lost = true
    throw lineError()
  })
  return { wasLost: () => lost, stop }
}

/** Records the names of the DynamoDB and SQS commands an app sends, in order, until stopped. */
export function recordCalls (app: Pick<TestApp, 'dynamodb' | 'sqs'>): { stop (): string[] } {
  const names: string[] = []
  const stops = [app.dynamodb, app.sqs].map(client => intercept(client, { onTheLine: false }, async ({ command, send }) => {
    names.push(command)
    return await send()
  }))
  return {
    stop () {
      for (const stop of stops) stop()
      return names
    }
  }
}

/** Counts what goes over the line to DynamoDB: each attempt, the SDK's own repetitions included. `before` may throw in its place. */
export function watchAttempts (app: Pick<TestApp, 'dynamodb'>, before: () => void = () => {}): { readonly attempts: number, stop: () => void } {
  let attempts = 0
  const stop = intercept(app.dynamodb, {}, async ({ send }) => {
    attempts++
    before()
    return await send()
  })
  return { get attempts () { return attempts }, stop }
}

/** Makes every message to the queue whose body holds a text go wrong. @returns what ends it */
export function breakQueueFor (app: Pick<TestApp, 'sqs'>, text: string): () => void {
  return intercept(app.sqs, { onTheLine: false }, async ({ input, send }) => {
    if ((input as { MessageBody?: string }).MessageBody?.includes(text) === true) throw new Error('the queue is down')
    return await send()
  })
}

/** Makes BatchGetItem return nothing and leave every key unprocessed, for a number of calls, as a table under load does. Neither engine ever does. */
export function leaveUnprocessed (client: Client, times: number): { calls: () => number, stop: () => void } {
  let calls = 0
  const stop = intercept(client, { command: 'BatchGetItemCommand', onTheLine: false }, async ({ input, send }) => {
    if (++calls > times) return await send()
    return { output: { $metadata: {}, Responses: {}, UnprocessedKeys: input['RequestItems'] }, response: {} }
  })
  return { calls: () => calls, stop }
}

/**
 * Reads of a replica that no longer follows. From `freeze` on, an eventually consistent read is answered as it was last
 * answered before, whatever was written since; one that was not seen before, and every consistent one, reads the present.
 * DynamoDB may do this for a moment, neither engine ever does.
 */
export function staleReads (client: Client): { freeze: () => void, served: () => number, stop: () => void } {
  const answers = new Map<string, unknown>()
  let isFrozen = false
  let served = 0
  const isConsistent = (input: Record<string, unknown>) => input['ConsistentRead'] === true || Object.values(input['RequestItems'] ?? {}).some(({ ConsistentRead }) => ConsistentRead === true)
  const stop = intercept(client, { onTheLine: false }, async ({ command, input, send }) => {
    if (!/^(?:GetItem|BatchGetItem|Query|Scan)Command$/.test(command) || isConsistent(input)) return await send()
    const read = JSON.stringify([command, input])
    if (!isFrozen || !answers.has(read)) answers.set(read, structuredClone((await send() as { output: unknown }).output))
    else served++
    return { output: structuredClone(answers.get(read)), response: {} }
  })
  return { freeze: () => { isFrozen = true }, served: () => served, stop }
}
