import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs'
import { GetCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { Breakers } from '../../plugins/breakers.ts'
import type { Cache } from '../../plugins/cache/index.ts'
import type { BreakerState } from '../../shared/breaker.ts'

export interface Check {
  status: 'healthy' | 'unhealthy'
  latencyMs: number
  breaker?: BreakerState
}

export interface Checks {
  dynamodb: Check
  sqs: Check
  redis: Check | { status: 'disabled', latencyMs: number }
  /** only while mails are not sent; a mail server is not probed */
  mail?: Check
}

export interface Report {
  checks: Checks
  /** when the dependencies were checked, ISO 8601 */
  timestamp: string
}

/** Milliseconds in which a dependency must answer. Load balancers allow two seconds or more for the whole check. */
const DEADLINE = 1000

/** Milliseconds for which a report is reused, so that each dependency is checked at most once a second. */
const REUSE = 1000

/** A key that is never written: ids are UUIDs, and the table's other keys have a `#`. The lookup costs half a read unit and needs no extra permission. */
const PROBE_KEY = { userId: 'health' }

async function timed (ask: (deadline: AbortSignal) => Promise<unknown>, onFailure: (error: unknown) => void): Promise<Check> {
  const start = performance.now()
  let status: Check['status'] = 'healthy'
  try {
    await ask(AbortSignal.timeout(DEADLINE))
  } catch (error) {
    onFailure(error)
    status = 'unhealthy'
  }
  return { status, latencyMs: Math.round((performance.now() - start) * 10) / 10 }
}

export interface ProbeOptions {
  dynamodb: DynamoDBDocumentClient
  sqs: SQSClient
  cache: Cache
  breakers: Pick<Breakers, 'stateOf'>
  table: string
  queueUrl: string
  onFailure: (dependency: keyof Checks, error: unknown) => void
}

/** Checks every dependency in parallel and never rejects. Concurrent callers share one report. */
export function createProbes ({ dynamodb, sqs, cache, breakers, table, queueUrl, onFailure }: ProbeOptions): () => Promise<Report> {
  async function ask (): Promise<Report> {
    const timestamp = new Date().toISOString()
    const [dynamodbCheck, sqsCheck, redisCheck] = await Promise.all([
      timed(abortSignal => dynamodb.send(new GetCommand({ TableName: table, Key: PROBE_KEY }), { abortSignal }), error => onFailure('dynamodb', error)),
      timed(abortSignal => sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['QueueArn'] }), { abortSignal }), error => onFailure('sqs', error)),
      cache.shared
        ? timed(async () => { if (await cache.ping() === undefined) throw new Error('Redis does not answer') }, error => onFailure('redis', error))
        : { status: 'disabled' as const, latencyMs: 0 }
    ])
    const withBreaker = <C extends object>(check: C, name: string) => {
      const breaker = breakers.stateOf(name)
      return breaker === undefined ? check : { ...check, breaker }
    }
    const mail = breakers.stateOf('mail') ?? 'closed'
    return {
      checks: {
        dynamodb: withBreaker(dynamodbCheck, 'dynamodb'),
        sqs: sqsCheck,
        redis: withBreaker(redisCheck, 'redis'),
        ...(mail === 'closed' ? {} : { mail: { status: 'unhealthy' as const, latencyMs: 0, breaker: mail } })
      },
      timestamp
    }
  }

  let report: Promise<Report> | undefined
  return () => {
    if (report === undefined) {
      report = ask()
      void report.then(() => setTimeout(() => { report = undefined }, REUSE).unref())
    }
    return report
  }
}
