import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import type { DynamoDBRecord } from 'aws-lambda'
import { entryOf, type OutboxEntry } from '../../shared/outbox.ts'

/**
 * The outbox entry that a stream record announces, or `undefined` for every other write: only a new entry is news, and
 * most records are users, sessions and counters.
 *
 * @throws when the record is an outbox entry that cannot be read
 */
export function announcedEntry ({ eventName, dynamodb }: DynamoDBRecord): OutboxEntry | undefined {
  const image = dynamodb?.NewImage
  if (eventName !== 'INSERT' || image?.['kind']?.S !== 'outbox') return undefined
  return entryOf(unmarshall(image as Record<string, AttributeValue>))
}
