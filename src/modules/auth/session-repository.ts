import { DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { Value } from '@sinclair/typebox/value'
import { isRefusedAt } from '../../shared/aws-errors.ts'
import { unlessRefused } from '../../shared/conditional-write.ts'
import { ERASED_FOR } from '../../shared/erasure.ts'
import { CHALLENGE, challengeKey, erasureKey, isLive, SESSION, sessionKey, userKey, type Item } from './items.ts'
import { Session, SessionSummary } from './schemas.ts'

export interface SessionRepository {
  /** Marks the challenge as used and starts the session. Returns false, and writes nothing, when the challenge was used or has expired. */
  startSession (challengeId: string, session: Session): Promise<boolean>
  /** Reads a session that has not expired. Strongly consistent. */
  getSession (userId: string, sid: string): Promise<Session | undefined>
  /** Replaces the current token. Returns false when the token has changed since it was read. */
  rotate (session: Session, next: Pick<Session, 'currentHash' | 'retired' | 'lastUsedAt' | 'expiresAt' | 'device'>): Promise<boolean>
  /** The sessions of a user that have not expired, in no order. Strongly consistent. */
  listSessions (userId: string): Promise<SessionSummary[]>
  /** Ends a session for another one of the same user, `by`, or for itself. `ended` when `by` has ended, `unknown` when only the session to end has. A call that is repeated with the same `operationId` gets the same answer. */
  endSession (userId: string, sid: string, by: string, operationId: string): Promise<'done' | 'unknown' | 'ended'>
  deleteSession (userId: string, sid: string): Promise<void>
  /** Deletes the sessions of a user that have ended. */
  deleteSessions (userId: string, hasEnded: (sid: string) => boolean): Promise<void>
  /** Deletes the sessions of a user, and the challenges that change the address of the account. Keeps a marker that the account was erased. */
  forgetUser (userId: string): Promise<void>
  /** Whether `forgetUser` has begun. Strongly consistent. */
  isErased (userId: string): Promise<boolean>
}

/** A condition of a transaction: a session has not ended. `seconds` since the epoch. */
export const stillLive = (table: string, { userId, sid }: { userId: string, sid: string }, seconds: number) => ({
  ConditionCheck: {
    TableName: table,
    Key: sessionKey(userId, sid),
    ConditionExpression: 'expiresAt > :now',
    ExpressionAttributeValues: { ':now': seconds }
  }
})

/** Sessions, and all else that is kept under a user. */
export function createSessionRepository ({ dynamodb, table, now }: { dynamodb: DynamoDBDocumentClient, table: string, now: () => Date }): SessionRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  async function get (Key: Record<string, string>): Promise<Item | undefined> {
    const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    return isLive(Item, seconds()) ? Item : undefined
  }

  const remove = async (Key: Record<string, string>) => { await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key }))) }

  /** Calls `work` for every sort key in a user's partition. */
  async function eachOf (userId: string, work: (sk: string) => Promise<void>) {
    let ExclusiveStartKey: Record<string, unknown> | undefined
    do {
      const page = await dynamodb.send(new QueryCommand({
        TableName: table,
        KeyConditionExpression: 'pk = :user',
        ExpressionAttributeValues: { ':user': userKey(userId, '').pk },
        ProjectionExpression: 'sk',
        ConsistentRead: true,
        Limit: 25, // this many at once
        ExclusiveStartKey
      }))
      await Promise.all((page.Items ?? []).map(async ({ sk }) => await work(sk as string)))
      ExclusiveStartKey = page.LastEvaluatedKey
    } while (ExclusiveStartKey !== undefined)
  }

  return {
    async startSession (challengeId, session) {
      const { userId, sid, ...attributes } = session
      const done = await unlessRefused(() => dynamodb.send(new TransactWriteCommand({
        TransactItems: [
          {
            Update: {
              TableName: table,
              Key: challengeKey(challengeId),
              // A used challenge no longer needs its owner, so the personal data is removed.
              UpdateExpression: 'SET usedBy = :sid REMOVE userId, address, emailChange',
              // When this same session has used it, an earlier attempt succeeded and its answer was lost.
              ConditionExpression: 'expiresAt > :now AND (attribute_not_exists(usedBy) OR usedBy = :sid)',
              ExpressionAttributeValues: { ':sid': sid, ':now': seconds() }
            }
          },
          { Put: { TableName: table, Item: { ...sessionKey(userId, sid), ...attributes } } }
        ]
      })))
      return done !== undefined
    },

    async getSession (userId, sid) {
      const item = await get(sessionKey(userId, sid))
      if (item === undefined) return undefined
      const { pk, sk, ...attributes } = item
      const session = { ...attributes, userId, sid }
      if (!Value.Check(Session, session)) throw new Error('A session in the auth table is not valid')
      return session
    },

    async rotate (session, next) {
      const done = await unlessRefused(() => dynamodb.send(new UpdateCommand({
        TableName: table,
        Key: sessionKey(session.userId, session.sid),
        UpdateExpression: `SET currentHash = :next, retired = :retired, lastUsedAt = :at, expiresAt = :expiresAt${next.device === undefined ? ' REMOVE #device' : ', #device = :device'}`,
        ConditionExpression: 'currentHash = :current AND expiresAt > :now',
        ExpressionAttributeNames: { '#device': 'device' },
        ExpressionAttributeValues: {
          ...(next.device === undefined ? {} : { ':device': next.device }),
          ':current': session.currentHash,
          ':now': seconds(),
          ':next': next.currentHash,
          ':retired': next.retired,
          ':at': next.lastUsedAt,
          ':expiresAt': next.expiresAt
        }
      })))
      return done !== undefined
    },

    async listSessions (userId) {
      const sessions: SessionSummary[] = []
      let ExclusiveStartKey: Record<string, unknown> | undefined
      do {
        const page = await dynamodb.send(new QueryCommand({
          TableName: table,
          KeyConditionExpression: 'pk = :user AND begins_with(sk, :session)',
          FilterExpression: 'expiresAt > :now',
          ProjectionExpression: 'sk, createdAt, lastUsedAt, expiresAt, #device',
          ExpressionAttributeNames: { '#device': 'device' },
          ExpressionAttributeValues: { ':user': userKey(userId, '').pk, ':session': SESSION, ':now': seconds() },
          ConsistentRead: true,
          ExclusiveStartKey
        }))
        for (const { sk, ...attributes } of page.Items ?? []) {
          const session = { ...attributes, sid: (sk as string).slice(SESSION.length) }
          if (!Value.Check(SessionSummary, session)) throw new Error('A session in the auth table is not valid')
          sessions.push(session)
        }
        ExclusiveStartKey = page.LastEvaluatedKey
      } while (ExclusiveStartKey !== undefined)
      return sessions
    },

    async endSession (userId, sid, by, operationId) {
      // It expires and is not deleted, so that the SDK's retry after a lost answer finds which operation has ended it.
      const end = {
        Update: {
          TableName: table,
          Key: sessionKey(userId, sid),
          UpdateExpression: 'SET expiresAt = :now, endedBy = :operation REMOVE currentHash, retired, familyKey, #device',
          ConditionExpression: 'expiresAt > :now OR endedBy = :operation',
          ExpressionAttributeNames: { '#device': 'device' },
          ExpressionAttributeValues: { ':now': seconds(), ':operation': operationId }
        }
      }
      const TransactItems = [end, ...(by === sid ? [] : [stillLive(table, { userId, sid: by }, seconds())])]
      return await unlessRefused<'done', 'unknown' | 'ended'>(async () => {
        await dynamodb.send(new TransactWriteCommand({ TransactItems }))
        return 'done'
      }, refusal => isRefusedAt(refusal, TransactItems.length - 1) ? 'ended' : 'unknown')
    },

    deleteSession: (userId, sid) => remove(sessionKey(userId, sid)),

    async deleteSessions (userId, hasEnded) {
      await eachOf(userId, async (sk) => {
        if (sk.startsWith(SESSION) && hasEnded(sk.slice(SESSION.length))) await remove(userKey(userId, sk))
      })
    },

    async forgetUser (userId) {
      await dynamodb.send(new PutCommand({ TableName: table, Item: { ...erasureKey(userId), kind: 'erased', expiresAt: seconds() + ERASED_FOR } }))
      await eachOf(userId, async (sk) => {
        if (sk.startsWith(CHALLENGE)) await remove(challengeKey(sk.slice(CHALLENGE.length)))
        await remove(userKey(userId, sk))
      })
    },

    isErased: async userId => await get(erasureKey(userId)) !== undefined
  }
}
