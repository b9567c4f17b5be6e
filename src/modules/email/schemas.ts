import { Type } from '@sinclair/typebox'
// Its interpreter and not TypeCompiler: the configuration is checked with it already, and ten small messages a batch
// never earn back what compiling the schema costs a cold start.
import { Value } from '@sinclair/typebox/value'
import { canonicalEmail, MAX_EMAIL } from '../../shared/email-address.ts'
import { UUID_PATTERN } from '../../shared/ids.ts'
import type { EmailMessage } from './contract.ts'
import { MessageInvalid } from './errors.ts'

const EMAIL_TYPES = ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE', 'EMAIL_CHANGED_NOTICE'] as const

/** A message of the e-mail queue. */
export const EmailMessageSchema = Type.Object({
  type: Type.Union(EMAIL_TYPES.map(type => Type.Literal(type))),
  messageId: Type.String({ pattern: UUID_PATTERN }),
  userId: Type.String({ pattern: UUID_PATTERN }),
  email: Type.String({ maxLength: MAX_EMAIL }),
  // No control characters and no line separators. The API takes 100 characters and then normalises them (NFC), which
  // makes three of some; TypeBox counts UTF-16 units, of which a character has up to two.
  name: Type.String({ maxLength: 600, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$' }),
  challengeId: Type.Optional(Type.String({ pattern: UUID_PATTERN })),
  expiresAt: Type.Optional(Type.String()),
  locale: Type.Optional(Type.String())
}, { additionalProperties: false })

/**
 * Checks a message before it is queued, and again where it is sent: what stands in a queue may have been put there by
 * anybody who can reach it.
 *
 * @throws {MessageInvalid} naming the field, and nothing that stands in the message
 */
export function checkMessage (message: unknown): asserts message is EmailMessage {
  if (!Value.Check(EmailMessageSchema, message)) {
    const field = Value.Errors(EmailMessageSchema, message).First()?.path.slice(1) ?? ''
    // The name of an unknown property is the sender's words too.
    throw new MessageInvalid(Object.hasOwn(EmailMessageSchema.properties, field) ? field : 'not of the form of one')
  }
  if (canonicalEmail(message.email) !== message.email) throw new MessageInvalid('email')
  if (message.challengeId === undefined && message.type !== 'EMAIL_CHANGED_NOTICE') throw new MessageInvalid('challengeId')
}

/**
 * The message in a queue record's body.
 *
 * @throws {MessageInvalid}
 */
export function parseMessage (body: string): EmailMessage {
  let message: unknown
  try {
    message = JSON.parse(body)
  } catch {
    // The parser's own words quote the body.
    throw new MessageInvalid('not JSON')
  }
  checkMessage(message)
  return message
}
