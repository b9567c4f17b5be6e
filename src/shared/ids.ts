import { randomUUID } from 'node:crypto'

/** A new identifier: UUID, version 4. */
export const newId = (): string => randomUUID()

/** What a client may send as `x-correlation-id`; anything else is replaced by a new UUID. */
export const CORRELATION_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/

/** A UUID as the service writes it: lower case, with dashes. */
export const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

/** A correlation id for the examples in the API documents. */
export const EXAMPLE_ID = '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60'
