import { IdempotencyInProgress, IdempotencyKeyReused, type ErrorClass } from '../../shared/errors.ts'
import { problem } from '../../shared/problem.ts'
import { IdempotencyKey, KEY_HEADER, REPLAYED_HEADER } from '../idempotency/key.ts'

interface RouteSchema { headers?: unknown, response: Record<string, object> }
type Declared = Partial<ReturnType<typeof problem>>

const retryAfter = { type: 'integer', minimum: 1, maximum: 3600, description: 'Seconds to wait before retrying' }
const replayed = { type: 'string', enum: ['true'], description: 'Present when this is the first answer again' }

/** A failure that every idempotent route may return, together with what the route itself declares for the status. */
function joined (declared: Declared | undefined, error: ErrorClass, description: string, headers: object = {}): object {
  const own = { ...problem(error, description), headers }
  if (declared?.['x-codes'] === undefined) return own
  // Only some of these answers have the headers then.
  return { ...own, headers: {}, description: `${declared.description}. Or: ${description}`, 'x-codes': [...declared['x-codes'], ...own['x-codes']], examples: [...declared.examples ?? [], ...own.examples] }
}

/** The schema of an idempotent route with what plugins/idempotency adds to it: a request header, an answer's header and two failures. */
export function withIdempotency<S extends RouteSchema> (schema: S): S {
  const headers = schema.headers as { properties?: object } | undefined
  const response = Object.fromEntries(Object.entries(schema.response).map(([status, answer]) =>
    [status, status.startsWith('2') ? { ...answer, headers: { ...(answer as { headers?: object }).headers, [REPLAYED_HEADER]: replayed } } : answer]))
  return {
    ...schema,
    headers: { type: 'object', ...headers, properties: { ...headers?.properties, [KEY_HEADER]: IdempotencyKey } },
    response: {
      ...response,
      409: joined(response[409], IdempotencyInProgress, 'The first request with this Idempotency-Key is still running', { 'retry-after': retryAfter }),
      422: joined(response[422], IdempotencyKeyReused, 'The Idempotency-Key was used for another request')
    }
  }
}
