import { DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, type DynamoDBDocumentClient, type UpdateCommandInput } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Outbox } from '../../plugins/outbox/index.ts'
import { itemMetBy, unlessRefused } from '../../shared/conditional-write.ts'
import type { AuthEntry } from './contract.ts'
import { Challenge, Session } from './schemas.ts'

/** How many codes may be asked for in a sliding window, both in milliseconds. */
export interface Limit { window: number, max: number }

/** A code that is asked for, as it is counted. */
export interface CodeCount {
  /** pseudonyms of the address and of the network that asks */
  address: string
  network: string
  challengeId: string
  at: Date
  limits: { address: readonly Limit[], network: readonly Limit[] }
}

export interface AuthRepository {
  /**
   * Counts a code and puts the entry that asks for it, in one call; when a limit is reached, does nothing and says when
   * the next code may be asked for, in milliseconds since the epoch. The same code again is counted once.
   */
  requestCode (count: CodeCount, entry: AuthEntry): Promise<{ notBefore: number } | undefined>
  /** Makes a challenge answerable, unless it was used; tries already made stay counted while it lasts. `expiresAt` in seconds since the epoch. Forgets what is too old to count. */
  openChallenge (challenge: Challenge & { challengeId: string, expiresAt: number }, count: Pick<CodeCount, 'address' | 'network' | 'limits'>): Promise<void>
  /** Takes one of a challenge's tries, once for each `tryId`, and says what it is about; `undefined` when it has none left, has expired or was used. */
  takeTry (challengeId: string, tryId: string): Promise<Challenge | undefined>
  /** Gives a try back: its code was right. */
  giveBack (challengeId: string, tryId: string): Promise<void>
  /** Uses the challenge up and starts the session, or does nothing: false when the challenge was used or has expired. */
  startSession (challengeId: string, session: Session): Promise<boolean>
  /** A session that has not expired. Strongly consistent. */
  getSession (userId: string, sid: string): Promise<Session | undefined>
  /** Replaces the current token; false when it is no longer the one that was read. */
  rotate (session: Session, next: Pick<Session, 'currentHash' | 'retired' | 'lastUsedAt' | 'expiresAt'>): Promise<boolean>
  deleteSession (userId: string, sid: string): Promise<void>
  /** Forgets the codes that were asked for under the pseudonyms of an address, and those of them that were for a user. */
  forgetCodes (addresses: readonly string[], userId: string): Promise<void>
  /** Ends the sessions of a user that were started up to a moment, ISO 8601; all of them without one. */
  deleteSessions (userId: string, upTo?: string): Promise<void>
}

export interface RepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<AuthEntry>
  table: string
  now: () => Date
}

/** Tries a challenge has: of 10^8 codes, five find the right one once in 20 million challenges. */
const MAX_TRIES = 5

/** Counts that are removed with each new one, at the old end of a list: more than one, so that a list shrinks again. */
const TRIMMED = 3

const challengeKey = (id: string) => ({ pk: `challenge#${id}`, sk: 'challenge' })
const sessionKey = (userId: string, sid: string) => ({ pk: `user#${userId}`, sk: `session#${sid}` })

/**
 * A list of codes that were asked for, newest first, each `time challengeId`. A limit of N in a window holds when the
 * N-th newest is not there or is older than the window: a condition that needs no reading and no clearing.
 */
const Codes = Type.Array(Type.String())
const addressKey = (address: string) => ({ pk: `codes#${address}`, sk: 'all' })
const networkKey = (address: string, network: string) => ({ pk: `codes#${address}`, sk: `network#${network}` })
const timeOf = (code: string) => Date.parse(code.split(' ', 1)[0]!)

/** The only place that knows the keys and items of the auth table. */
export function createRepository ({ dynamodb, outbox, table, now }: RepositoryOptions): AuthRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  const update = (input: Omit<UpdateCommandInput, 'TableName'>) => unlessRefused(() => dynamodb.send(new UpdateCommand({ TableName: table, ...input })))

  async function getItem (Key: Record<string, string>) {
    const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    // DynamoDB removes expired items days late: until then they are there and do not count.
    return Item !== undefined && Item['expiresAt'] > seconds() ? Item : undefined
  }

  async function deleteSession (userId: string, sid: string) {
    await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: sessionKey(userId, sid) })))
  }

  /** Adds a code to a list, unless that would be over a limit. */
  function countIn (Key: Record<string, string>, code: string, at: Date, limits: readonly Limit[]) {
    const within = limits.map(({ max }, i) => `(attribute_not_exists(codes[${max - 1}]) OR codes[${max - 1}] < :begin${i})`)
    const begins = limits.map(({ window }, i) => [`:begin${i}`, new Date(at.getTime() - window).toISOString()])
    const longest = Math.max(...limits.map(({ window }) => window))
    return {
      Update: {
        TableName: table,
        Key,
        UpdateExpression: 'SET codes = list_append(:code, if_not_exists(codes, :none)), expiresAt = :expiresAt',
        ConditionExpression: `(attribute_not_exists(codes) OR NOT contains(codes, :text)) AND ${within.join(' AND ')}`,
        ExpressionAttributeValues: { ':code': [code], ':text': code, ':none': [], ':expiresAt': Math.ceil((at.getTime() + longest) / 1000), ...Object.fromEntries(begins) },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const
      }
    }
  }

  /** Removes codes that no limit looks at any more from the old end of a list, if there are any. */
  async function trim (Key: Record<string, string>, limits: readonly Limit[]): Promise<void> {
    const kept = Math.max(...limits.map(({ max }) => max))
    const positions = Array.from({ length: TRIMMED }, (_, i) => `codes[${kept + i}]`)
    await update({ Key, UpdateExpression: `REMOVE ${positions.join(', ')}`, ConditionExpression: `attribute_exists(${positions[0]})` })
  }

  /** When a list lets the next code through, in milliseconds since the epoch; 0 when it does now. */
  function notBefore (codes: string[], at: Date, limits: readonly Limit[]): number {
    const ends = limits.map(({ window, max }) => codes[max - 1] === undefined ? 0 : timeOf(codes[max - 1]!) + window)
    return Math.max(0, ...ends.filter(end => end > at.getTime()))
  }

  return {
    async requestCode ({ address, network, challengeId, at, limits }, entry) {
      const code = `${at.toISOString()} ${challengeId}`
      const lists = [[addressKey(address), limits.address], [networkKey(address, network), limits.network]] as const
      const TransactItems = [...lists.map(([Key, own]) => countIn(Key, code, at, own)), { Put: outbox.write(entry) }]
      return await unlessRefused<unknown, { notBefore: number } | undefined>(
        async () => { await dynamodb.send(new TransactWriteCommand({ TransactItems })) },
        (refusal) => {
          const met = lists.map(([, own], i) => {
            const item = itemMetBy(refusal, i)
            const { codes } = item === undefined ? {} : unmarshall(item as Record<string, AttributeValue>)
            return { codes: Value.Check(Codes, codes) ? codes : [], limits: own }
          })
          // Counted by an earlier attempt, whose answer was lost.
          if (met.some(({ codes }) => codes.includes(code))) return undefined
          return { notBefore: Math.max(...met.map(list => notBefore(list.codes, at, list.limits))) }
        }
      ) as { notBefore: number } | undefined
    },

    async openChallenge ({ challengeId, userId, address, expiresAt }, count) {
      await unlessRefused(() => dynamodb.send(new PutCommand({
        TableName: table,
        Item: { ...challengeKey(challengeId), userId, address, expiresAt },
        // A challenge that lasts, or was used, stays as it is when its entry is handled twice.
        ConditionExpression: 'attribute_not_exists(pk) OR (expiresAt <= :now AND attribute_not_exists(usedBy))',
        ExpressionAttributeValues: { ':now': seconds() }
      })))
      await Promise.all([trim(addressKey(count.address), count.limits.address), trim(networkKey(count.address, count.network), count.limits.network)])
    },

    async takeTry (challengeId, tryId) {
      const taken = await update({
        Key: challengeKey(challengeId),
        // A set of tries and not their number: our own repetition of a try whose answer was lost is the same try.
        UpdateExpression: 'ADD tries :try',
        ConditionExpression: '(attribute_not_exists(tries) OR size(tries) < :max OR contains(tries, :id)) AND expiresAt > :now AND attribute_not_exists(usedBy)',
        ExpressionAttributeValues: { ':try': new Set([tryId]), ':id': tryId, ':max': MAX_TRIES, ':now': seconds() },
        ReturnValues: 'ALL_NEW'
      })
      if (taken === undefined) return undefined
      const { userId, address } = taken.Attributes ?? {}
      const challenge = { userId, address }
      if (!Value.Check(Challenge, challenge)) throw new Error('A challenge of the auth table is not valid')
      return challenge
    },

    async giveBack (challengeId, tryId) {
      await update({
        Key: challengeKey(challengeId),
        UpdateExpression: 'DELETE tries :try',
        ConditionExpression: 'attribute_exists(pk)',
        ExpressionAttributeValues: { ':try': new Set([tryId]) }
      })
    },

    async startSession (challengeId, session) {
      const { userId, sid, ...attributes } = session
      const done = await unlessRefused(() => dynamodb.send(new TransactWriteCommand({
        TransactItems: [
          {
            Update: {
              TableName: table,
              Key: challengeKey(challengeId),
              // It has done its part: nothing in it says any more whose it was.
              UpdateExpression: 'SET usedBy = :sid REMOVE userId, address',
              // Used by this very session: an earlier attempt succeeded and its answer was lost.
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
      const item = await getItem(sessionKey(userId, sid))
      if (item === undefined) return undefined
      const { pk, sk, ...attributes } = item
      const session = { ...attributes, userId, sid }
      if (!Value.Check(Session, session)) throw new Error('A session of the auth table is not valid')
      return session
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

    async forgetCodes (addresses, userId) {
      for (const address of addresses) {
        const { pk } = addressKey(address)
        // 30 lists at most count within a day, one for each code and network.
        const { Items = [] } = await dynamodb.send(new QueryCommand({ TableName: table, KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': pk }, ConsistentRead: true }))
        const challengeIds = new Set(Items.flatMap(({ codes }) => Value.Check(Codes, codes) ? codes.map(code => code.split(' ')[1]!) : []))
        for (const id of challengeIds) {
          await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: challengeKey(id), ConditionExpression: 'userId = :userId', ExpressionAttributeValues: { ':userId': userId } })))
        }
        for (const { sk } of Items) await dynamodb.send(new DeleteCommand({ TableName: table, Key: { pk, sk } }))
      }
    },

    async deleteSessions (userId, upTo) {
      let ExclusiveStartKey: Record<string, unknown> | undefined
      do {
        const page = await dynamodb.send(new QueryCommand({
          TableName: table,
          KeyConditionExpression: 'pk = :user AND begins_with(sk, :session)',
          ...(upTo === undefined ? {} : { FilterExpression: 'createdAt <= :upTo' }),
          ExpressionAttributeValues: { ':user': sessionKey(userId, '').pk, ':session': sessionKey('', '').sk, ...(upTo === undefined ? {} : { ':upTo': upTo }) },
          ProjectionExpression: 'sk',
          ConsistentRead: true,
          Limit: 25, // as many deletions at once
          ExclusiveStartKey
        }))
        await Promise.all((page.Items ?? []).map(({ sk }) => deleteSession(userId, sk.slice('session#'.length))))
        ExclusiveStartKey = page.LastEvaluatedKey
      } while (ExclusiveStartKey !== undefined)
    }
  }
}
