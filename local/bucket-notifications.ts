import { paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3'
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs'
import type { S3Event } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultBackOff, runLoop, written, type Invocation, type Mapping, type Reporter } from './mapping-loop.ts'
import type { BucketMapping } from './template.ts'

// Notifications of a bucket's new objects. On AWS, S3 sends an event to EventBridge, whose rule makes a notification of it
// and invokes the function, which Lambda repeats after a failure. The engine here has no events, so new objects are found
// by listing the prefix that the rule is about. A handled object leaves that prefix, so a restart finds the others again.

/** Milliseconds between two lists. */
const POLL_INTERVAL = 200

export type BucketHandler = (event: S3Event, invocation: Invocation) => Promise<unknown>

/** What is known of the objects that are still there, by key and content. */
export type Attempts = Map<string, { failed: number, notBefore: number, isOver: boolean }>

export interface BucketStep {
  mapping: BucketMapping
  handler: BucketHandler
  s3: S3Client
  attempts: Attempts
  /** milliseconds before the n-th retry, counted from 1 */
  backOff: (retry: number) => number
  /** called when the invocations of an object are over */
  onDiscard: (event: S3Event, cause: { attempts: number, error: unknown }) => Promise<void>
}

/** The notification that the rule's input transformer makes of S3's event. */
export function notificationOf ({ input }: BucketMapping, event: object): S3Event {
  const at = (path: string) => path.split('.').slice(1).reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], event)
  return JSON.parse(input.template.replace(/<(\w+)>/g, (_, name: string) => JSON.stringify(at(input.paths[name]!)))) as S3Event
}

/** Lists the prefix once and delivers a notification for each object whose turn it is. Resolves to how many were delivered. */
export async function deliverObjects ({ mapping, handler, s3, attempts, backOff, onDiscard }: BucketStep): Promise<number> {
  const present = new Set<string>()
  let delivered = 0
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: mapping.bucket, Prefix: mapping.prefix })) {
    for (const { Key, ETag, Size, LastModified } of Contents) {
      const id = `${Key} ${ETag} ${LastModified?.getTime()}`
      present.add(id)
      const past = attempts.get(id) ?? { failed: 0, notBefore: 0, isOver: false }
      if (past.isOver || Date.now() < past.notBefore) continue
      const event = notificationOf(mapping, { time: LastModified, detail: { bucket: { name: mapping.bucket }, object: { key: Key, size: Size } } })
      delivered++
      try {
        await handler(event, { deadline: Date.now() + mapping.timeout })
        attempts.set(id, { ...past, isOver: true })
      } catch (error) {
        const failed = past.failed + 1
        const isOver = failed > mapping.maximumRetries
        if (isOver) await onDiscard(event, { attempts: failed, error })
        attempts.set(id, { failed, notBefore: Date.now() + backOff(failed), isOver })
      }
    }
  }
  for (const id of attempts.keys()) if (!present.has(id)) attempts.delete(id)
  return delivered
}

export interface BucketMappingOptions extends Pick<BucketStep, 'mapping' | 'handler' | 's3'> {
  sqs: SQSClient
  queueUrl: (id: string) => string
  /** the version of the engine's database; without it the prefix is listed five times a second */
  version?: (() => number) | undefined
  log: Reporter
  backOff?: BucketStep['backOff']
}

/** Passes a bucket's new objects to a function, as its rule in the template says. */
export function startBucketMapping ({ mapping, sqs, queueUrl, version, log, backOff = defaultBackOff, ...step }: BucketMappingOptions): Mapping {
  const attempts: Attempts = new Map()
  const name = `bucket ${mapping.bucket}`
  return runLoop(name, log, async signal => {
    const seen = version?.()
    await deliverObjects({
      ...step,
      mapping,
      attempts,
      backOff,
      async onDiscard (event, { attempts, error }) {
        log.warn({ err: error }, `${name}: discarded after ${attempts} attempts`)
        if (mapping.failureQueue === undefined) return
        // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        const body = {
          version: '1.0',
          timestamp: new Date().toISOString(),
          requestContext: { requestId: randomUUID(), functionArn: 'local', condition: 'RetriesExhausted', approximateInvokeCount: attempts },
          requestPayload: event,
          responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' }
        }
        await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl(mapping.failureQueue), MessageBody: JSON.stringify(body) }))
      }
    })
    const hasRetries = [...attempts.values()].some(({ isOver }) => !isOver)
    if (version === undefined || hasRetries) await sleep(POLL_INTERVAL, undefined, { signal })
    else await written({ version, seen: seen!, signal })
  })
}
