/** One invalid field of a request. */
export interface FieldProblem {
  /** JSON pointer into the body, such as `/email` */
  pointer: string
  detail: string
}

/** The members of an RFC 9457 body that the service sends. */
interface ProblemBody {
  type?: string
  title?: string
  detail?: string
  instance?: string
  code?: string
  correlationId?: string
  errors?: FieldProblem[]
}

const CORRELATION_HEADER = 'x-correlation-id'

/** An answer that is not a success. Programs should look at `code`, which is stable. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly status: number
  /** such as `USERS_EMAIL_TAKEN`; `UNKNOWN` when the answer is no problem document, as one of a proxy */
  readonly code: string
  readonly type: string | undefined
  readonly title: string | undefined
  readonly detail: string
  readonly instance: string | undefined
  /** the invalid fields; empty when the problem is not about fields */
  readonly errors: readonly FieldProblem[]
  /** quote it when you report the problem */
  readonly correlationId: string | undefined
  /** seconds to wait before another attempt, if the service says so */
  readonly retryAfter: number | undefined
  /** the body as it came: parsed when it is JSON, text otherwise */
  readonly body: unknown

  constructor ({ status, headers }: Pick<Response, 'status' | 'headers'>, body: unknown) {
    const problem: ProblemBody = typeof body === 'object' && body !== null ? body : {}
    const detail = typeof problem.detail === 'string' ? problem.detail : `The service answered ${status}`
    super(detail)
    this.status = status
    this.code = typeof problem.code === 'string' ? problem.code : 'UNKNOWN'
    this.type = problem.type
    this.title = problem.title
    this.detail = detail
    this.instance = problem.instance
    this.errors = Array.isArray(problem.errors) ? problem.errors : []
    this.correlationId = problem.correlationId ?? headers.get(CORRELATION_HEADER) ?? undefined
    this.retryAfter = retryAfterOf(headers)
    this.body = body
  }

  /** Whether a field of the body is invalid, given its name or JSON pointer. */
  concerns (field: string): boolean {
    const pointer = field.startsWith('/') ? field : `/${field}`
    return this.errors.some(error => error.pointer === pointer)
  }
}

/** Seconds of a `Retry-After` header: a number, or an HTTP date (RFC 9110 §10.2.3). */
export function retryAfterOf (headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  if (/^\d+$/.test(value)) return Number(value)
  // Date.parse accepts much more than HTTP dates, "-5" for example.
  const at = /^[A-Za-z]{3}/.test(value) ? Date.parse(value) : NaN
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000))
}
