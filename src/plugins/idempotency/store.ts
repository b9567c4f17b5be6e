import { DeleteCommand, GetCommand, PutCommand, UpdateCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { unlessRefused } from '../../shared/conditional-write.ts'
import type { ConditionRefused } from '../../shared/aws-errors.ts'

export interface StoreOptions {
  table: string
  /** makes the table's key attributes from a record's id */
  key: (id: string) => Record<string, string>
}

/** What is known of one Idempotency-Key of one caller. */
const Stored = Type.Object({
  fingerprint: Type.String({ description: 'pseudonym of the request' }),
  operationId: Type.String(),
  startedAt: Type.String({ description: 'ISO 8601' }),
  attemptId: Type.String({ description: 'the attempt that runs, or ran last' }),
  lease: Type.Number({ description: 'until when that attempt has the operation to itself, milliseconds since the epoch' }),
  expiresAt: Type.Number({ description: 'seconds since the epoch' }),
  answer: Type.Optional(Type.Uint8Array({ description: 'sealed; present once the operation is done' }))
})
export type Stored = Static<typeof Stored>

export interface IdempotencyStore {
  /** A record that has not expired. Strongly consistent. */
  find (id: string): Promise<Stored | undefined>
  /** Writes a record, unless there is one. Returns the record that is there then: the given one, or the earlier one. */
  create (id: string, record: Stored): Promise<Stored>
  /** Gives an operation without an answer from one attempt to the next. False when another attempt has it, or it is done. */
  takeOver (id: string, from: string, to: Pick<Stored, 'attemptId' | 'lease'>): Promise<boolean>
  /** Keeps the answer. Writes nothing when the attempt no longer has the operation; so do `release` and `remove`. */
  complete (id: string, attemptId: string, answer: Uint8Array): Promise<void>
  /** Ends the lease, so that the next attempt goes on with the same operation. */
  release (id: string, attemptId: string): Promise<void>
  /** Forgets the operation. */
  remove (id: string, attemptId: string): Promise<void>
}

/** The records in one table. `kind` is for those who look into it. */
export function createStore (client: DynamoDBDocumentClient, { table, key }: StoreOptions, now: () => Date): IdempotencyStore {
  const seconds = () => Math.floor(now().getTime() / 1000)

  function recordIn (item: Record<string, unknown>): Stored {
    const { fingerprint, operationId, startedAt, attemptId, lease, expiresAt, answer } = item
    const record = { fingerprint, operationId, startedAt, attemptId, lease, expiresAt, answer }
    if (!Value.Check(Stored, record)) throw new Error('A record of an idempotency key is not valid')
    return record
  }

  const metBy = ({ Item }: ConditionRefused) => Item === undefined ? undefined : recordIn(unmarshall(Item as Record<string, AttributeValue>))

  async function find (id: string): Promise<Stored | undefined> {
    const { Item } = await client.send(new GetCommand({ TableName: table, Key: key(id), ConsistentRead: true }))
    // DynamoDB may remove expired items days late, so they are filtered out here.
    return Item !== undefined && Item['expiresAt'] > seconds() ? recordIn(Item) : undefined
  }

  /** An update under the condition that an attempt has the operation. Returns what it met if it was refused: a record, or `gone`. */
  async function update (id: string, attemptId: string, { condition = 'attemptId = :own', set, values }: { condition?: string, set: string, values: Record<string, unknown> }): Promise<'written' | 'gone' | Stored> {
    return await unlessRefused<'written', Stored | 'gone'>(async () => {
      await client.send(new UpdateCommand({
        TableName: table,
        Key: key(id),
        UpdateExpression: `SET ${set}`,
        ConditionExpression: condition,
        ExpressionAttributeValues: { ...values, ':own': attemptId },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
      }))
      return 'written'
    }, refusal => metBy(refusal) ?? 'gone')
  }

  return {
    find,

    async create (id, record) {
      const met = await unlessRefused<Stored | undefined, Stored | undefined>(async () => {
        await client.send(new PutCommand({
          TableName: table,
          Item: { ...key(id), kind: 'idempotency', ...record },
          ConditionExpression: 'attribute_not_exists(attemptId) OR expiresAt <= :now',
          ExpressionAttributeValues: { ':now': seconds() },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
        }))
        return record
      }, metBy)
      if (met === undefined) throw new Error('The write of an idempotency key was refused, and nothing is there')
      return met
    },

    async takeOver (id, from, { attemptId, lease }) {
      const outcome = await update(id, from, {
        condition: 'attemptId = :own AND attribute_not_exists(answer)',
        set: 'attemptId = :next, lease = :lease',
        values: { ':next': attemptId, ':lease': lease }
      })
      // After a lost answer, the SDK's retry finds what its first attempt wrote.
      return outcome === 'written' || (outcome !== 'gone' && outcome.attemptId === attemptId)
    },

    async complete (id, attemptId, answer) {
      await update(id, attemptId, { set: 'answer = :answer', values: { ':answer': answer } })
    },

    async release (id, attemptId) {
      await update(id, attemptId, { set: 'lease = :none', values: { ':none': 0 } })
    },

    async remove (id, attemptId) {
      await unlessRefused(() => client.send(new DeleteCommand({ TableName: table, Key: key(id), ConditionExpression: 'attemptId = :own', ExpressionAttributeValues: { ':own': attemptId } })))
    }
  }
}
