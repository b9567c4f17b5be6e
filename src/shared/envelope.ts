import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { exampleOf, type ErrorClass } from './errors.ts'
import { CorrelationId, EXAMPLE_ID } from './ids.ts'

// Version 1's envelope of successes and failures, for schemas and for handlers.

/** Schema of a v1 success with this data. */
export const Envelope = <T extends TSchema>(data: T, title: string) => Type.Object({ success: Type.Literal(true), data }, { title })

/** A v1 success. */
export const success = <T>(data: T) => ({ success: true as const, data })

export const Failure = Type.Object({
  success: Type.Literal(false),
  error: Type.String({ maxLength: 4000, pattern: '\\S', description: 'What is wrong with this request', examples: ['User already exists'] }),
  correlationId: Type.Optional(CorrelationId)
}, { $id: 'Failure', title: 'Failure' })
export type Failure = Static<typeof Failure>

/** Response schema for the given errors of a v1 route, with an example of each. */
export function failure (errors: ErrorClass | ErrorClass[], description: string) {
  const described = [errors].flat().map(exampleOf)
  return {
    ...Failure,
    description,
    'x-codes': described.map(({ code }) => code),
    examples: described.map(({ detail }): Failure => ({ success: false, error: detail, correlationId: EXAMPLE_ID }))
  }
}
