import type { Context } from 'aws-lambda'
import type { App } from '../app.ts'
import { isObject } from '../shared/is-object.ts'
import { isHttp } from './http-event.ts'
import { createHttp } from './http.ts'

/** The event with which EventBridge Scheduler, or an operator, starts a sweep of the outboxes. */
const SWEEP = { source: 'user-service.schedule', detailType: 'sweep' }

function isSchedule (event: Record<string, unknown>): boolean {
  const { source, 'detail-type': detailType } = event
  return detailType === 'Scheduled Event' ? source === 'aws.events' || source === 'aws.scheduler' : source === SWEEP.source && detailType === SWEEP.detailType
}

/**
 * The Lambda handler: finds the source of an event and passes the event to the handler of that source.
 *
 * @throws when the kind of event is unknown, so that AWS retries it or moves it to a dead-letter queue. A normal answer
 * to a batch would count as success, and the batch would be lost.
 */
export function createDispatch (app: App) {
  const http = createHttp(app)
  return async function handler (event: unknown, context: Context): Promise<unknown> {
    if (!isObject(event)) throw new TypeError('The event is not an object')
    const left = (context as Partial<Context>).getRemainingTimeInMillis?.()
    const invocation = left === undefined ? {} : { deadline: Date.now() + left }
    if ('Records' in event) return await app.consumers.deliver({ Records: event['Records'] }, invocation)
    if (isHttp(event)) return await http(event)
    if (isSchedule(event)) return await app.outbox.sweep(invocation)
    // The message quotes nothing from the event, because it may contain personal data.
    throw new Error(`An event of unknown kind, with ${Object.keys(event).length} keys`)
  }
}
