import { Type, type Static } from '@sinclair/typebox'
import { STATUS_CODES } from 'node:http'
import type { FieldError } from './errors.ts'

/** `application/problem+json`, RFC 9457: what v2 and the unversioned routes answer when they cannot do as asked. */
export const Problem = Type.Object({
  type: Type.String({ description: 'URN of the kind of problem' }),
  title: Type.String({ description: 'The HTTP status in words' }),
  status: Type.Integer(),
  detail: Type.String({ description: 'What is wrong with this request' }),
  instance: Type.String({ description: 'The path that was asked for' }),
  code: Type.String({ description: 'Stable name of the problem, for programs', examples: ['USERS_NOT_FOUND'] }),
  correlationId: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }), { description: 'The refused fields' }))
}, { $id: 'Problem', title: 'Problem' })
export type Problem = Static<typeof Problem>

/** The v1 envelope of a failure, as the article has it. */
export const Failure = Type.Object({
  success: Type.Literal(false),
  error: Type.String(),
  correlationId: Type.Optional(Type.String())
}, { $id: 'Failure', title: 'Failure' })
export type Failure = Static<typeof Failure>

export interface Fault {
  status: number
  code: string
  detail: string
  instance: string
  correlationId: string
  errors?: FieldError[] | undefined
}

/** A fault in the shape of the API version that was asked. */
export function renderFault (fault: Fault, version: 'v1' | 'v2'): { contentType: string, body: Problem | Failure } {
  const { status, code, detail, instance, correlationId, errors } = fault
  if (version === 'v1') {
    return { contentType: 'application/json; charset=utf-8', body: { success: false, error: detail, correlationId } }
  }
  return {
    contentType: 'application/problem+json; charset=utf-8',
    body: {
      type: `urn:user-service:problem:${code.toLowerCase().replaceAll('_', '-')}`,
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
