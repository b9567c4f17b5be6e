import { ProblemError } from '../../../clients/typescript/src/index.ts'

function waitOf (seconds: number): string {
  if (seconds < 90) return `${seconds} seconds`
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} minutes` : `${Math.ceil(seconds / 3600)} hours`
}

/** What a user reads about an error, and the field of the form that it is about. Programs look at `code` only: docs/errors.md has all of them. */
export function explain (error: unknown): [message: string, field?: string] {
  if (!(error instanceof ProblemError)) return ['The service cannot be reached. Check your connection and try again.']
  const wait = waitOf(error.retryAfter ?? 60)
  switch (error.code) {
    case 'AUTH_CODE_INVALID': return ['This code is wrong or has expired. Use the newest message, or ask for another one.', 'code']
    case 'AUTH_CODES_EXHAUSTED': return [`Too many codes were sent to this address. Use the newest one, or try again in ${wait}.`, 'email']
    case 'AUTH_EMAIL_TAKEN': return ['Another account has this address.']
    case 'PRECONDITION_FAILED': return ['The account was changed in another place meanwhile. Look at it, and save again.', 'name']
  }
  if (error.concerns('email')) return ['This does not look like an e-mail address.', 'email']
  if (error.concerns('name')) return ['A name has 2 to 100 characters, and at least two that can be seen.', 'name']
  if (error.concerns('size')) return ['A picture has up to 5 MiB.', 'picture']
  if (error.status === 429) return [`Too many requests. Try again in ${wait}.`]
  if (error.status === 503) return ['The service is not available at the moment. Try again in a minute.']
  return [`Something went wrong. If you report it, quote ${error.correlationId ?? 'the time'}.`]
}
