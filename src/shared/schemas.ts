import { Type } from '@sinclair/typebox'
import { UUID_PATTERN } from './ids.ts'

// Shapes of the API that more than one module answers with.

// No control character, line or paragraph separator, or bidirectional override: a name goes into mails and logs.
const NAME_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*$'

export const Email = Type.String({ minLength: 3, maxLength: 254, description: 'E-mail address; kept in lower case', examples: ['ada@example.com'] })
export const Name = Type.String({ minLength: 2, maxLength: 100, pattern: NAME_PATTERN, description: 'What to call the person', examples: ['Ada Lovelace'] })
export const Status = Type.Union([Type.Literal('PENDING_VERIFICATION'), Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], {
  description: 'Pending until the first code from a mail is exchanged'
})
export const Role = Type.Union([Type.Literal('user'), Type.Literal('admin')])
export const Id = Type.String({ pattern: UUID_PATTERN, examples: ['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'] })
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T12:00:00.000Z'] })

/** Version 2's user. */
export const User = Type.Object({
  id: Id,
  email: Email,
  name: Name,
  status: Status,
  role: Role,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  version: Type.Integer({ minimum: 1, description: 'Grows by one with each change; the ETag follows it' })
}, { $id: 'User', title: 'User' })

/** Where the proof of an address can be given. */
export const ChallengeTicket = Type.Object({
  challengeId: Type.String({ pattern: UUID_PATTERN, description: 'To be exchanged together with the code from the mail', examples: ['0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42'] }),
  expiresAt: Timestamp
}, { $id: 'ChallengeTicket', title: 'ChallengeTicket' })
