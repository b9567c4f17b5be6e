import type { Message } from '@aws-sdk/client-sqs'

// A message may contain anything: personal data, and characters that a terminal acts on.

/** Names of values without personal data, in messages of this service and in what EventBridge, Lambda and SES write. */
const OPEN = new Set([
  'type', 'messageId', 'userId', 'challengeId', 'expiresAt', 'locale', 'correlationId', 'attempt', 'unconfirmed',
  'id', 'version', 'source', 'detail-type', 'time', 'account', 'region', 'resources',
  'eventType', 'bounceType', 'bounceSubType', 'complaintFeedbackType', 'timestamp', 'configuration-set', 'ses:configuration-set',
  'requestId', 'functionArn', 'condition', 'executedVersion', 'functionError', 'errorType', 'shardId', 'streamArn', 'startSequenceNumber', 'endSequenceNumber',
  'approximateArrivalOfFirstRecord', 'approximateArrivalOfLastRecord',
  'eventSource', 'eventName', 'eventTime', 'awsRegion', 'bucket', 'key', 'etag', 'sequencer', 'reason',
  'ERROR_CODE', 'ERROR_MESSAGE', 'RULE_ARN', 'TARGET_ARN', 'EXHAUSTED_RETRY_CONDITION', 'RETRY_ATTEMPTS'
])
/** Such a value, or a list of them. Anything with an @ is masked, whatever its name. */
const HARMLESS = /^[\w .,:;/#$()[\]'"-]{0,300}$/
const NAME = /^[\w:.-]{1,64}$/

const mask = (value: string): string => `*** (${value.length} characters)`

function masked (value: unknown, name: string): unknown {
  if (typeof value === 'string') return OPEN.has(name) && HARMLESS.test(value) ? value : mask(value)
  if (Array.isArray(value)) return value.map(item => masked(item, name))
  if (typeof value !== 'object' || value === null) return value
  // The name of a bucket is below it.
  return Object.fromEntries(Object.entries(value).map(([key, item], i) => [NAME.test(key) ? key : `*** ${i + 1}`, masked(item, name === 'bucket' && key === 'name' ? 'bucket' : key)]))
}

/** Text for a terminal: everything but printable ASCII and line ends is escaped. */
export const printable = (text: string): string => text.replace(/[^\x20-\x7e\n]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** One value for a line, or a question mark. */
export const word = (value: unknown): string => typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value) ? value : '?'

/** The whole body of a message: personal data only when `isPersonal`. */
export function bodyText ({ Body = '' }: Message, isPersonal: boolean): string {
  let value: unknown
  try {
    value = JSON.parse(Body)
  } catch {
    return printable(isPersonal ? Body : mask(Body))
  }
  return printable(JSON.stringify(isPersonal ? value : masked(value, ''), null, 2))
}

/** The attributes of a message, a line each. */
export function attributeLines ({ MessageAttributes = {} }: Message, isPersonal: boolean): string[] {
  return Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => {
    const shown = isPersonal ? StringValue : masked(StringValue, name) as string
    return printable(`${NAME.test(name) ? name : '***'}: ${shown}`).replaceAll('\n', '\\n')
  })
}
