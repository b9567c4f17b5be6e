import type { Context } from 'aws-lambda'
import type { App } from '../app.ts'
import { createHttp, isHttp } from './http.ts'

/** The event that EventBridge Scheduler, or an operator, sends to have the outbox swept. */
const SWEEP = { source: 'user-service.schedule', detailType: 'sweep' }

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function isSchedule (event: Record<string, unknown>): boolean {
  const { source, 'detail-type': detailType } = event
  return detailType === 'Scheduled Event' ? source === 'aws.events' || source === 'aws.scheduler' : source === SWEEP.source && detailType === SWEEP.detailType
}

/**
 * The one Lambda handler: looks at where an event comes from and hands it to what takes events from there.
 *
 * @throws when the event is of no known kind: AWS then retries it, or keeps it in a dead-letter queue. An HTTP-shaped
 * answer to a batch would count as success, and the batch would be gone.
 */
export function createDispatch (app: App) {
  const http = createHttp(app)
  return async function handler (event: unknown, context: Context): Promise<unknown> {
    if (!isObject(event)) throw new TypeError('The event is not an object')
    const left = (context as Partial<Context>).getRemainingTimeInMillis?.()
    const invocation = left === undefined ? {} : { deadline: Date.now() + left }
    if ('Records' in event) return await app.consumers.deliver({ Records: event['Records'] }, invocation)
    if (isHttp(event)) return await http(event, context)
    if (isSchedule(event)) return await app.outbox.sweep(invocation)
    // Nothing of the event is repeated: it may hold anything.
    throw new Error(`An event of no known kind, with ${Object.keys(event).length} keys`)
  }
}
