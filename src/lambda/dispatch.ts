import type { Context, DynamoDBStreamEvent, SQSEvent } from 'aws-lambda'
import type { App } from '../app.ts'
import { createHttp, isHttp } from './http.ts'

/** The event that EventBridge Scheduler, or an operator, sends to have the outbox swept. */
const SWEEP = { source: 'user-service.schedule', detailType: 'sweep' }

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Where the records of a batch come from: one source, or the batch is not one of ours. */
function recordSource (records: unknown): string | undefined {
  if (!Array.isArray(records) || records.length === 0) return undefined
  const sources = new Set(records.map(record => isObject(record) ? record['eventSource'] : undefined))
  const [source] = sources
  return sources.size === 1 && typeof source === 'string' ? source : undefined
}

function isSchedule (event: Record<string, unknown>): boolean {
  const { source, 'detail-type': detailType } = event
  return detailType === 'Scheduled Event' ? source === 'aws.events' || source === 'aws.scheduler' : source === SWEEP.source && detailType === SWEEP.detailType
}

/**
 * The one Lambda handler: looks at what kind of event it was given and hands it to the part of the app that takes it.
 *
 * @throws when the event is of no known kind: AWS then retries it, or keeps it in a failure queue. An HTTP-shaped
 * answer to a batch would count as success, and the batch would be gone.
 */
export function createDispatch (app: App) {
  const http = createHttp(app)
  return async function handler (event: unknown, context: Context): Promise<unknown> {
    if (!isObject(event)) throw new TypeError('The event is not an object')
    if ('Records' in event) {
      const source = recordSource(event['Records'])
      if (source === 'aws:sqs') return await app.email.handleBatch(event as unknown as SQSEvent)
      if (source === 'aws:dynamodb') return await app.relay.handleBatch(event as unknown as DynamoDBStreamEvent)
      // What was uploaded and is not looked at must not be forgotten: the notification fails until something takes it.
      if (source === 'aws:s3') throw new Error('A notification of S3, and no part of this service takes one')
      throw new Error(`Records of ${source === undefined ? 'no source, or more than one' : 'an unknown source'}`)
    }
    if (isHttp(event)) return await http(event, context)
    if (isSchedule(event)) return await app.relay.sweep()
    // Nothing of it is logged: the names of its keys may be personal data as well.
    throw new Error(`An event of no known kind, with ${Object.keys(event).length} keys`)
  }
}
