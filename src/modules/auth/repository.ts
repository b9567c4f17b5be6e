import { DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, type DynamoDBDocumentClient, type UpdateCommandInput } from '@aws-sdk/lib-dynamodb'
import type { OpenOutbox, OutboxStore } from '../../plugins/outbox.ts'
import { unlessRefused } from '../../shared/conditional-write.ts'
import type { AuthEntry } from './contract.ts'

/** A token of a session that was used, kept while its successor may be asked for again. */
export interface RetiredToken {
  hash: string
  /** what its successor was made with, base64url */
  salt: string
  /** when it was used, milliseconds since the epoch */
  at: number
}

export interface Session {
  userId: string
  sid: string
  /** SHA-256 of the one refresh token that is good now, hex */
  currentHash: string
  /** oldest first */
  retired: RetiredToken[]
  /** tells tokens of this session from guesses, base64url */
  familyKey: string
  /** ISO 8601 */
  createdAt: string
  /** ISO 8601 */
  lastUsedAt: string
  /** seconds since the epoch */
  expiresAt: number
}

/** A mail that was let through; `at` in milliseconds since the epoch. */
export interface CountedMail { eventId: string, at: number }

export interface AuthRepository {
  readonly outbox: OutboxStore<AuthEntry>
  /** Writes a challenge unless it is there; `expiresAt` in seconds since the epoch. */
  putChallenge (challenge: { challengeId: string, email: string, expiresAt: number }): Promise<void>
  /** Takes one of a challenge's tries and says whose it is; `undefined` when it has none left, is over or unknown. */
  takeTry (challengeId: string): Promise<string | undefined>
  /** Takes one of the failures an address may have in a day; false when none is left. */
  takeFailure (address: string, day: string): Promise<boolean>
  /** Uses the challenge up, starts the session and gives the failure back, or does nothing: false when the challenge was used or is over. */
  startSession (challengeId: string, failure: { address: string, day: string }, session: Session): Promise<boolean>
  /** A session that has not expired. Strongly consistent. */
  getSession (userId: string, sid: string): Promise<Session | undefined>
  /** Replaces the current token; false when it is no longer the one that was read. */
  rotate (session: Session, next: Pick<Session, 'currentHash' | 'retired' | 'lastUsedAt' | 'expiresAt'>): Promise<boolean>
  deleteSession (userId: string, sid: string): Promise<void>
  deleteSessions (userId: string): Promise<void>
  getMails (address: string): Promise<{ mails: CountedMail[], version: number }>
  /** Replaces the mails of an address; false when they are no longer as they were read. `expiresAt` in seconds since the epoch. */
  putMails (address: string, mails: CountedMail[], readVersion: number, expiresAt: number): Promise<boolean>
}

/** Tries a challenge has: of 10^8 codes, five find the right one once in 20 million challenges. */
const MAX_TRIES = 5

/** Failures an address may have in a day: twenty a day find a code once in 13,000 years. */
const MAX_FAILURES = 20

const challengeKey = (id: string) => ({ pk: `challenge#${id}`, sk: 'challenge' })
const failuresKey = (address: string, day: string) => ({ pk: `failures#${address}`, sk: day })
const mailsKey = (address: string) => ({ pk: `mails#${address}`, sk: 'mails' })
const sessionKey = (userId: string, sid: string) => ({ pk: `user#${userId}`, sk: `session#${sid}` })

/** The only place that knows the keys and items of the auth table. */
export function createAuthRepository (client: DynamoDBDocumentClient, openOutbox: OpenOutbox, table: string, now: () => Date): AuthRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  const update = (input: Omit<UpdateCommandInput, 'TableName'>) => unlessRefused(() => client.send(new UpdateCommand({ TableName: table, ...input })))

  async function getItem (Key: Record<string, string>) {
    const { Item } = await client.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    // DynamoDB removes expired items days late: until then they are there and do not count.
    return Item !== undefined && Item['expiresAt'] > seconds() ? Item : undefined
  }

  async function deleteSession (userId: string, sid: string) {
    await unlessRefused(() => client.send(new DeleteCommand({ TableName: table, Key: sessionKey(userId, sid) })))
  }

  return {
    outbox: openOutbox(table, eventId => ({ pk: `outbox#${eventId}`, sk: 'outbox' })),

    async putChallenge ({ challengeId, email, expiresAt }) {
      // A used challenge stays until it expires, so that an entry relayed twice does not open it again.
      await unlessRefused(() => client.send(new PutCommand({
        TableName: table,
        Item: { ...challengeKey(challengeId), email, expiresAt, tries: 0 },
        ConditionExpression: 'attribute_not_exists(pk)'
      })))
    },

    async takeTry (challengeId) {
      const taken = await update({
        Key: challengeKey(challengeId),
        UpdateExpression: 'ADD tries :one',
        ConditionExpression: 'tries < :max AND expiresAt > :now AND attribute_not_exists(usedBy)',
        ExpressionAttributeValues: { ':one': 1, ':max': MAX_TRIES, ':now': seconds() },
        ReturnValues: 'ALL_NEW'
      })
      return taken?.Attributes?.['email'] as string | undefined
    },

    async takeFailure (address, day) {
      const taken = await update({
        Key: failuresKey(address, day),
        UpdateExpression: 'ADD failures :one SET expiresAt = :end',
        ConditionExpression: 'attribute_not_exists(failures) OR failures < :max',
        ExpressionAttributeValues: { ':one': 1, ':max': MAX_FAILURES, ':end': Date.parse(day) / 1000 + 2 * 24 * 3600 }
      })
      return taken !== undefined
    },

    async startSession (challengeId, { address, day }, session) {
      const { userId, sid, ...attributes } = session
      const done = await unlessRefused(() => client.send(new TransactWriteCommand({
        TransactItems: [
          {
            Update: {
              TableName: table,
              Key: challengeKey(challengeId),
              // The address has done its part; whoever deletes their account leaves none behind.
              UpdateExpression: 'SET usedBy = :sid REMOVE email',
              // Used by this very session: an earlier attempt succeeded and its answer was lost.
              ConditionExpression: 'expiresAt > :now AND (attribute_not_exists(usedBy) OR usedBy = :sid)',
              ExpressionAttributeValues: { ':sid': sid, ':now': seconds() }
            }
          },
          { Put: { TableName: table, Item: { ...sessionKey(userId, sid), ...attributes } } },
          { Update: { TableName: table, Key: failuresKey(address, day), UpdateExpression: 'ADD failures :back', ExpressionAttributeValues: { ':back': -1 } } }
        ]
      })))
      return done !== undefined
    },

    async getSession (userId, sid) {
      const item = await getItem(sessionKey(userId, sid))
      if (item === undefined) return undefined
      const { pk, sk, ...attributes } = item
      return { userId, sid, ...attributes } as Session
    },

    async rotate (session, next) {
      const done = await update({
        Key: sessionKey(session.userId, session.sid),
        UpdateExpression: 'SET currentHash = :next, retired = :retired, lastUsedAt = :at, expiresAt = :expiresAt',
        ConditionExpression: 'currentHash = :current AND expiresAt > :now',
        ExpressionAttributeValues: {
          ':current': session.currentHash,
          ':now': seconds(),
          ':next': next.currentHash,
          ':retired': next.retired,
          ':at': next.lastUsedAt,
          ':expiresAt': next.expiresAt
        }
      })
      return done !== undefined
    },

    deleteSession,

    async deleteSessions (userId) {
      let ExclusiveStartKey: Record<string, unknown> | undefined
      do {
        const page = await client.send(new QueryCommand({
          TableName: table,
          KeyConditionExpression: 'pk = :user AND begins_with(sk, :session)',
          ExpressionAttributeValues: { ':user': sessionKey(userId, '').pk, ':session': sessionKey('', '').sk },
          ProjectionExpression: 'sk',
          ConsistentRead: true,
          Limit: 25, // as many deletions at once
          ExclusiveStartKey
        }))
        await Promise.all((page.Items ?? []).map(({ sk }) => deleteSession(userId, sk.slice('session#'.length))))
        ExclusiveStartKey = page.LastEvaluatedKey
      } while (ExclusiveStartKey !== undefined)
    },

    async getMails (address) {
      const item = await getItem(mailsKey(address))
      return { mails: item?.['mails'] ?? [], version: item?.['version'] ?? 0 }
    },

    async putMails (address, mails, readVersion, expiresAt) {
      const done = await unlessRefused(() => client.send(new PutCommand({
        TableName: table,
        Item: { ...mailsKey(address), mails, version: readVersion + 1, expiresAt },
        ConditionExpression: 'attribute_not_exists(pk) OR version = :read OR expiresAt <= :now',
        ExpressionAttributeValues: { ':read': readVersion, ':now': seconds() }
      })))
      return done !== undefined
    }
  }
}
