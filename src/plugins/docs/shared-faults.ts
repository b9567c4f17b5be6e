import createError from '@fastify/error'
import { Forbidden, Internal, TooManyRequests, Unauthorized, Unavailable, UnsupportedMediaType, validationError, type FieldError } from '../../shared/errors.ts'
import type { Operation } from './openapi.ts'

type Cause = Error & { statusCode?: number | undefined, code?: string, errors?: FieldError[] }

interface SharedFault {
  name: string
  description: string
  /** makes the error of the example, given a field of the document */
  error: (field: string) => Cause
  headers?: string[]
  /** whether an operation can return it without declaring it */
  applies?: (operation: Operation, method: string, limited: boolean) => boolean
}

const BodyTooLarge = createError('BODY_TOO_LARGE', 'The body is larger than 64 KiB', 413)
const mayHaveBody = (_operation: Operation, method: string) => method !== 'get'

/** Failures of many operations in every module, by status. A module declares its own failures with its routes. */
export const SHARED_FAULTS: Record<number, SharedFault> = {
  400: {
    name: 'BadRequest',
    description: 'The request is not valid HTTP, or the answer lists its invalid fields',
    error: field => validationError([{ pointer: `/${field}`, detail: 'is required' }]),
    applies: () => true
  },
  401: {
    name: 'Unauthorized',
    description: 'No valid access token',
    error: () => new Unauthorized(),
    headers: ['www-authenticate'],
    applies: operation => operation.security !== undefined
  },
  403: { name: 'Forbidden', description: 'The role of the account does not allow this operation', error: () => new Forbidden() },
  413: { name: 'BodyTooLarge', description: 'The body is larger than 64 KiB', error: () => new BodyTooLarge(), applies: mayHaveBody },
  415: {
    name: 'UnsupportedMediaType',
    description: 'The body has an unsupported content type, is not in UTF-8, or is compressed',
    error: () => new UnsupportedMediaType('The body must be application/json; this one is "text/plain"'),
    applies: mayHaveBody
  },
  429: {
    name: 'TooManyRequests',
    description: 'Too many requests from this client',
    error: () => new TooManyRequests(),
    headers: ['retry-after'],
    applies: (_operation, _method, limited) => limited
  },
  500: { name: 'Internal', description: 'An error of this service', error: () => new Internal(), applies: () => true },
  503: {
    name: 'Unavailable',
    description: 'A dependency of this service does not answer, or too many requests are running; try again',
    error: () => new Unavailable(),
    headers: ['retry-after'],
    // A server at its limit rejects what is limited, whatever the operation calls.
    applies: (_operation, _method, limited) => limited
  }
}
