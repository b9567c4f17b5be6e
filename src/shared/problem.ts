import { Type, type Static } from '@sinclair/typebox'
import { STATUS_CODES } from 'node:http'
import type { Failure } from './envelope.ts'
import { exampleOf, type ErrorClass, type FieldError } from './errors.ts'
import { CorrelationId, EXAMPLE_ID } from './ids.ts'

/** `application/problem+json`, RFC 9457: the errors of v2 and of the unversioned routes. */
export const Problem = Type.Object({
  type: Type.String({ maxLength: 128, pattern: '^urn:user-service:problem:[a-z0-9-]+$', description: 'URN of the problem type' }),
  title: Type.String({ maxLength: 64, pattern: '^[A-Za-z -]+$', description: 'The HTTP status in words' }),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: Type.String({ maxLength: 4000, pattern: '\\S', description: 'What is wrong with this request' }),
  instance: Type.String({ maxLength: 256, pattern: '^/', description: 'The path of the request' }),
  // The documents list the codes of their operations here.
  code: Type.String({ maxLength: 64, pattern: '^[A-Z0-9_]+$', description: 'Stable code of the problem, for programs. New codes may be added', examples: ['VALIDATION_FAILED'] }),
  correlationId: CorrelationId,
  errors: Type.Optional(Type.Array(Type.Object({
    pointer: Type.String({ maxLength: 256, pattern: '^#?(/|$)', description: 'JSON Pointer into the body, or the name of a parameter after `#/`' }),
    detail: Type.String({ maxLength: 512, pattern: '\\S', description: 'Continues the name of the field, as in "is required"' })
  }), { maxItems: 20, description: 'The invalid fields' }))
}, { $id: 'Problem', title: 'Problem' })
export type Problem = Static<typeof Problem>

/** Response schema for the given errors of a route, with an example of each. */
export function problem (errors: ErrorClass | ErrorClass[], description: string) {
  const described = [errors].flat().map(exampleOf)
  return {
    ...Problem,
    description,
    'x-codes': described.map(({ code }) => code),
    examples: described.map(example => renderFault({ ...example, instance: '/', correlationId: EXAMPLE_ID }, 'v2').body)
  }
}

export interface Fault {
  status: number
  code: string
  detail: string
  instance: string
  correlationId: string
  errors?: FieldError[] | undefined
}

/** The URN of a problem type: the code in another form. */
export const typeOf = (code: string): string => `urn:user-service:problem:${code.toLowerCase().replaceAll('_', '-')}`

/** The body of an error, in the format of the requested API version. */
export function renderFault (fault: Fault, version: 'v1' | 'v2'): { contentType: string, body: Problem | Failure } {
  const { status, code, detail, instance, correlationId, errors } = fault
  if (version === 'v1') {
    return { contentType: 'application/json; charset=utf-8', body: { success: false, error: detail, correlationId } }
  }
  return {
    contentType: 'application/problem+json; charset=utf-8',
    body: {
      type: typeOf(code),
      title: STATUS_CODES[status] ?? 'Error',
      status,
      detail,
      instance,
      code,
      correlationId,
      ...(errors === undefined ? {} : { errors })
    }
  }
}
