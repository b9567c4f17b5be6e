import { BreakerOpen } from './breaker.ts'

// The names of AWS errors, in one place. Code never matches on messages, because they differ between engines.

/** The fields of an SDK error that say what happened. */
interface AwsError {
  name?: string
  /** code of a network error */
  code?: string
  $metadata?: { httpStatusCode?: number }
  /** set by the SDK on errors that it considers retryable */
  $retryable?: unknown
  /** of a failed transaction, one for each of its items */
  CancellationReasons?: { Code?: string }[]
}

/** With `ReturnValuesOnConditionCheckFailure` it contains the current item. */
export interface ConditionRefused extends Error {
  /** what a write met, and what each write of a transaction met, if it asked for it */
  Item?: Record<string, { S?: string, N?: string }>
  CancellationReasons?: { Code?: string, Item?: Record<string, { S?: string, N?: string }> }[]
}

/** Another transaction was writing the same item. */
const CONFLICTS = ['TransactionConflictException', 'TransactionInProgressException']

/** The request was throttled. */
const THROTTLES = ['ThrottlingException', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded', 'LimitExceededException']

/** The last one: what gives a container or a machine its credentials did not answer. */
const FAILURES = ['TimeoutError', 'AbortError', 'NetworkingError', 'InternalServerError', 'ServiceUnavailable', 'CredentialsProviderError']

const NETWORK_CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_STREAM_PREMATURE_CLOSE']

export const REFUSED = { name: 'ConditionalCheckFailedException', reason: 'ConditionalCheckFailed' }
const CONFLICT_REASON = 'TransactionConflict'
const THROTTLE_REASONS = ['ThrottlingError', 'ProvisionedThroughputExceeded']

const asError = (error: unknown): AwsError => typeof error === 'object' && error !== null ? error : {}
const reasonsOf = (error: AwsError) => error.CancellationReasons?.map(reason => reason.Code ?? '') ?? []

export const isErrorNamed = (error: unknown, name: string): boolean => asError(error).name === name

/** Whether the connection was lost during a request. */
export const isReset = (error: unknown): boolean => ['ECONNRESET', 'EPIPE'].includes(asError(error).code ?? '')

/** Whether a condition of a write, or of one item of a transaction, did not hold. */
export function isConditionRefused (error: unknown): error is ConditionRefused {
  const e = asError(error)
  return e.name === REFUSED.name || reasonsOf(e).includes(REFUSED.reason)
}

/** Whether the condition of a transaction's write at a position did not hold. */
export const isRefusedAt = ({ CancellationReasons = [] }: ConditionRefused, position: number): boolean => CancellationReasons[position]?.Code === REFUSED.reason

/** Whether a write conflicted with another transaction on the same item. */
export function isConflict (error: unknown): boolean {
  const e = asError(error)
  return CONFLICTS.includes(e.name ?? '') || reasonsOf(e).includes(CONFLICT_REASON)
}

/** Whether a service did not answer, or only that it has a failure. A throttled or rejected request was answered. */
export function isOutage (error: unknown): boolean {
  const { name = '', code = '', $metadata } = asError(error)
  return !THROTTLES.includes(name) && (FAILURES.includes(name) || NETWORK_CODES.includes(code) || ($metadata?.httpStatusCode ?? 0) >= 500)
}

/** Whether an error is a temporary failure of a dependency, and not a fault in the request. */
export function isUnavailable (error: unknown): boolean {
  const e = asError(error)
  return e.$retryable !== undefined || isConflict(e) || isOutage(e) || e instanceof BreakerOpen ||
    THROTTLES.includes(e.name ?? '') ||
    reasonsOf(e).some(reason => THROTTLE_REASONS.includes(reason))
}
