// Names that AWS gives to errors, in one place. Messages are not matched on: they differ from engine to engine.

/** An error of the SDK, as far as it says what happened. */
interface AwsError {
  name?: string
  /** of the network */
  code?: string
  $metadata?: { httpStatusCode?: number }
  /** set by the SDK on what it would have tried again */
  $retryable?: unknown
  /** of a transaction, one for each of its items */
  CancellationReasons?: { Code?: string }[]
}

/** With `ReturnValuesOnConditionCheckFailure` it has the item that is there. */
export interface ConditionRefused extends Error { Item?: Record<string, { S?: string, N?: string }> }

/** Another transaction was at the same item. */
const CONFLICTS = ['TransactionConflictException', 'TransactionInProgressException']

/** Too much is asked. */
const THROTTLES = ['ThrottlingException', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded', 'LimitExceededException']

const FAILURES = ['TimeoutError', 'AbortError', 'NetworkingError', 'InternalServerError', 'ServiceUnavailable']

const NETWORK_CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_STREAM_PREMATURE_CLOSE']

const REFUSED = { name: 'ConditionalCheckFailedException', reason: 'ConditionalCheckFailed' }
const CONFLICT_REASON = 'TransactionConflict'
const THROTTLE_REASONS = ['ThrottlingError', 'ProvisionedThroughputExceeded']

const asError = (error: unknown): AwsError => typeof error === 'object' && error !== null ? error : {}
const reasonsOf = (error: AwsError) => error.CancellationReasons?.map(reason => reason.Code ?? '') ?? []

export const isErrorNamed = (error: unknown, name: string): boolean => asError(error).name === name

/** Whether the connection was lost under a request. */
export const isReset = (error: unknown): boolean => ['ECONNRESET', 'EPIPE'].includes(asError(error).code ?? '')

/** Whether a condition of a write, or of one item of a transaction, did not hold. */
export function isConditionRefused (error: unknown): error is ConditionRefused {
  const e = asError(error)
  return e.name === REFUSED.name || reasonsOf(e).includes(REFUSED.reason)
}

/** Whether a write met another transaction on the same item. */
export function isConflict (error: unknown): boolean {
  const e = asError(error)
  return CONFLICTS.includes(e.name ?? '') || reasonsOf(e).includes(CONFLICT_REASON)
}

/** Whether an error says that a dependency failed or refused for the moment, rather than that the request was wrong. */
export function isUnavailable (error: unknown): boolean {
  const e = asError(error)
  return e.$retryable !== undefined || isConflict(e) ||
    [...THROTTLES, ...FAILURES].includes(e.name ?? '') ||
    NETWORK_CODES.includes(e.code ?? '') ||
    (e.$metadata?.httpStatusCode ?? 0) >= 500 ||
    reasonsOf(e).some(reason => THROTTLE_REASONS.includes(reason))
}
