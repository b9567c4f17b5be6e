import { Type } from '@sinclair/typebox'
import { createHash, randomUUID } from 'node:crypto'

/** A new identifier: UUID, version 4. */
export const newId = (): string => randomUUID()

/**
 * An identifier derived from another one: UUID, version 8 (RFC 9562). The same `id` and `part` give the same result, so a
 * repeated operation finds what its first attempt wrote.
 */
export function idFrom (id: string, part: string | number): string {
  const hex = createHash('sha256').update(`${id} ${part}`).digest('hex')
  const variant = ((parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const VERSION_8 = '8'
const MAX_NUMBER = 0xffff_ffff

/** A new identifier that carries a number below 2^32: UUID, version 8, whose first 32 bits are the number; 90 bits are random. */
export function newNumberedId (number: number): string {
  const id = newId()
  return `${Math.min(number, MAX_NUMBER).toString(16).padStart(8, '0')}${id.slice(8, 14)}${VERSION_8}${id.slice(15)}`
}

/** The number that an identifier carries; 0 when it carries none. */
export const numberIn = (id: string): number => UUID.test(id) && id.charAt(14) === VERSION_8 ? parseInt(id.slice(0, 8), 16) : 0

/** The form that an `x-correlation-id` from a client must have; any other value is replaced by a new UUID. */
export const CORRELATION_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/

/** The id of a request in schemas. */
export const CorrelationId = Type.String({ maxLength: 64, pattern: CORRELATION_ID_PATTERN.source, examples: ['5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60'] })

/** A UUID as the service writes it: lower case, with dashes. */
export const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
export const UUID = new RegExp(UUID_PATTERN)

export const Id = Type.String({ maxLength: 36, pattern: UUID_PATTERN, examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] })
export const Timestamp = Type.String({ maxLength: 24, format: 'date-time', examples: ['2026-11-22T12:00:00.000Z'] })

/** A correlation id for the examples in the API documents. */
export const EXAMPLE_ID = '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60'
