import { DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, type DynamoDBDocumentClient, type UpdateCommandInput } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Outbox } from '../../plugins/outbox/index.ts'
import { isRefusedAt } from '../../shared/aws-errors.ts'
import { itemMetBy, unlessRefused } from '../../shared/conditional-write.ts'
import { ERASED_FOR, nameless } from '../../shared/erasure.ts'
import type { AuthEntry } from './contract.ts'
import { Challenge, Session, SessionSummary } from './schemas.ts'

/** At most `max` codes in a sliding `window` of milliseconds. */
export interface Limit { window: number, max: number }

/** A requested code, as it is counted. */
export interface CodeCount {
  /** pseudonyms of the address and of the client's network */
  address: string
  network: string
  challengeId: string
  at: Date
  limits: { address: readonly Limit[], network: readonly Limit[] }
  /** the session that asks for the code, which must not have ended */
  by?: { userId: string, sid: string }
}

/** A requested code and the state of its challenge. */
export interface RequestedCode {
  requestedAt: string
  challenge?: { expiresAt: number, tries: number }
}

/** What is erased with an account. */
export interface Forgotten {
  userId: string
  /** pseudonyms of the address, and of the mailbox under which its codes are counted */
  address: readonly string[]
  mailbox: readonly string[]
  /** when the account was deleted, ISO 8601: a challenge that was requested later belongs to the next account of the address */
  at: string
}

export interface AuthRepository {
  /**
   * Counts a code and puts its outbox entry, if there is one, in one call. When a limit is reached, writes nothing and
   * returns when the next code may be requested, in milliseconds since the epoch; `ended` when the session that asks has
   * ended. A repeated call for the same code counts once.
   */
  requestCode (count: CodeCount, entry: AuthEntry | undefined): Promise<{ notBefore: number } | 'ended' | undefined>
  /** Opens a challenge, unless it was used. While it lasts, tries already made stay counted. Removes counts that are too old, if it was counted. `isUncounted`: the challenge does not have the id under which its code was counted. `expiresAt` in seconds since the epoch. */
  openChallenge (challenge: Challenge & { challengeId: string, expiresAt: number }, count?: Pick<CodeCount, 'address' | 'limits'> & { isUncounted?: boolean }): Promise<void>
  /** Uses up one of a challenge's tries, once for each `tryId`, and returns the challenge; `undefined` when it has no tries left, has expired or was used. */
  takeTry (challengeId: string, tryId: string): Promise<Challenge | undefined>
  /** Gives a try back, because its code was right. */
  giveBack (challengeId: string, tryId: string): Promise<void>
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
  /** When codes were requested under an address's pseudonyms, newest first, each with its challenge if that is still open and belongs to the user. */
  codesOf (mailbox: readonly string[], userId: string): Promise<RequestedCode[]>
  /** Deletes what is kept under an address's pseudonyms: the counts of codes, and the challenges of the user or of the address. */
  forgetCodes (forgotten: Forgotten): Promise<void>
  /** Deletes the sessions of a user that have ended. */
  deleteSessions (userId: string, hasEnded: (sid: string) => boolean): Promise<void>
  /** Deletes the sessions of a user, and the challenges that change the address of the account. Keeps a marker that the account was erased. */
  forgetUser (userId: string): Promise<void>
}

export interface RepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<AuthEntry>
  table: string
  now: () => Date
}

/** Tries per challenge. There are 10^8 codes, so five tries find the right one once in 20 million challenges. */
const MAX_TRIES = 5

/** Old counts removed from the lists of an address at once; an expression may have 300 operators. An address gets 30 codes a day, and each leaves two counts. */
const MAX_TRIMMED = 200

const challengeKey = (id: string) => ({ pk: `challenge#${id}`, sk: 'challenge' })
const userKey = (userId: string, sk: string) => ({ pk: `user#${userId}`, sk })
const SESSION = 'session#'
const sessionKey = (userId: string, sid: string) => userKey(userId, SESSION + sid)
/** Finds the challenge of a change of address when the account is erased. */
const CHALLENGE = 'challenge#'
/** Says, apart from the table of accounts, that an account was erased: a backup of that table is cleaned by it (ADR 113). */
export const erasureKey = (userId: string) => ({ pk: `erased#${nameless(userId)}`, sk: 'erased' })

/**
 * The requested codes of an address, in one item: `codes`, all of them as `time challengeId`, and for each network an
 * attribute with the times of its own; newest first. A limit of N codes in a window holds when the N-th newest one is
 * missing or older than the window. That is a write condition: no read and no cleanup is needed first.
 */
const Codes = Type.Array(Type.String())
const codesKey = (address: string) => ({ pk: `codes#${address}`, sk: 'all' })
const NETWORK = 'network#'
/** Finds a challenge whose code was not counted under its id, when the account is erased. */
const UNCOUNTED = 'challenge#'
const uncountedKey = (address: string, challengeId: string) => ({ pk: `codes#${address}`, sk: `${UNCOUNTED}${challengeId}` })
const listIn = (item: Record<string, unknown>, name: string) => Value.Check(Codes, item[name]) ? item[name] : []
const codesIn = (item: Record<string, unknown>) => listIn(item, 'codes')
const partsOf = (code: string) => code.split(' ') as [time: string, challengeId: string]
const timeOf = (code: string) => Date.parse(partsOf(code)[0])

/** The only place that knows the keys and items of the auth table. */
export function createRepository ({ dynamodb, outbox, table, now }: RepositoryOptions): AuthRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  const update = (input: Omit<UpdateCommandInput, 'TableName'>) => unlessRefused(() => dynamodb.send(new UpdateCommand({ TableName: table, ...input })))

  async function getItem (Key: Record<string, string>) {
    const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    // DynamoDB may remove expired items days late, so they are filtered out here.
    return Item !== undefined && Item['expiresAt'] > seconds() ? Item : undefined
  }

  async function deleteSession (userId: string, sid: string) {
    await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: sessionKey(userId, sid) })))
  }

  /** The condition that a session has not ended. */
  const ifLive = (userId: string, sid: string) => ({
    TableName: table,
    Key: sessionKey(userId, sid),
    ConditionExpression: 'expiresAt > :now',
    ExpressionAttributeValues: { ':now': seconds() }
  })

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

  /** What is kept of the codes of an address. */
  async function listsOf (mailbox: readonly string[]) {
    const pages = await Promise.all(mailbox.map(address => dynamodb.send(new QueryCommand({
      TableName: table,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': codesKey(address).pk },
      ConsistentRead: true
    }))))
    return pages.flatMap(({ Items = [] }) => Items) as { pk: string, sk: string, [name: string]: unknown }[]
  }

  const longestOf = (limits: CodeCount['limits']) => Math.max(...[...limits.address, ...limits.network].map(({ window }) => window))

  /** Adds a code to the lists of its address and of its network, unless that would exceed a limit. */
  function countCode ({ address, network, at, limits }: CodeCount, code: string) {
    const lists = [['#codes', limits.address], ['#network', limits.network]] as const
    const within = lists.flatMap(([list, own]) => own.map(({ window, max }) => ({
      condition: `(attribute_not_exists(${list}[${max - 1}]) OR ${list}[${max - 1}] < :after${window})`,
      value: [`:after${window}`, new Date(at.getTime() - window).toISOString()]
    })))
    return {
      TableName: table,
      Key: codesKey(address),
      UpdateExpression: 'SET #codes = list_append(:code, if_not_exists(#codes, :none)), #network = list_append(:time, if_not_exists(#network, :none)), expiresAt = :expiresAt',
      ConditionExpression: `(attribute_not_exists(#codes) OR NOT contains(#codes, :text)) AND ${within.map(({ condition }) => condition).join(' AND ')}`,
      ExpressionAttributeNames: { '#codes': 'codes', '#network': NETWORK + network },
      ExpressionAttributeValues: {
        ':code': [code],
        ':text': code,
        ':time': [at.toISOString()],
        ':none': [],
        ':expiresAt': Math.ceil((at.getTime() + longestOf(limits)) / 1000),
        ...Object.fromEntries(within.map(({ value }) => value))
      },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const
    }
  }

  /**
   * Removes from the lists of an address what no limit needs any more. Reads first: there is rarely something to remove,
   * and a refused write costs ten times as much as this read. A code that is counted meanwhile leaves it to the next one.
   */
  async function trim ({ address, limits }: Pick<CodeCount, 'address' | 'limits'>): Promise<void> {
    const { Item = {} } = await dynamodb.send(new GetCommand({ TableName: table, Key: codesKey(address) }))
    const old = Object.keys(Item).filter(name => name === 'codes' || name.startsWith(NETWORK)).flatMap((name) => {
      const list = listIn(Item, name)
      // Times are those of the requests, so a list may be out of order by minutes.
      const first = list.findLastIndex(code => timeOf(code) > now().getTime() - longestOf(limits)) + 1
      return first === list.length ? [] : [{ name, list, first }]
    })
    if (old.length === 0) return
    const removed = old.flatMap(({ list, first }, i) => first === 0 ? `#l${i}` : list.slice(first).map((_, n) => `#l${i}[${first + n}]`)).slice(0, MAX_TRIMMED)
    await update({
      Key: codesKey(address),
      UpdateExpression: `REMOVE ${removed.join(', ')}`,
      ConditionExpression: old.map(({ first }, i) => `#l${i}[${first}] = :first${i}`).join(' AND '),
      ExpressionAttributeNames: Object.fromEntries(old.map(({ name }, i) => [`#l${i}`, name])),
      ExpressionAttributeValues: Object.fromEntries(old.map(({ list, first }, i) => [`:first${i}`, list[first]]))
    })
  }

  /** When a list allows the next code, in milliseconds since the epoch; 0 when it allows it now. */
  function notBefore (codes: string[], at: Date, limits: readonly Limit[]): number {
    const ends = limits.map(({ window, max }) => codes[max - 1] === undefined ? 0 : timeOf(codes[max - 1]!) + window)
    return Math.max(0, ...ends.filter(end => end > at.getTime()))
  }

  return {
    async requestCode (count, entry) {
      const { network, challengeId, at, limits, by } = count
      const code = `${at.toISOString()} ${challengeId}`
      const counted = countCode(count, code)
      const others = [
        ...(entry === undefined ? [] : [{ Put: outbox.write(entry) }]),
        ...(by === undefined ? [] : [{ ConditionCheck: ifLive(by.userId, by.sid) }])
      ]
      return await unlessRefused<unknown, { notBefore: number } | 'ended' | undefined>(
        async () => {
          // A transaction costs twice, also one of a single write.
          if (others.length === 0) await dynamodb.send(new UpdateCommand(counted))
          else await dynamodb.send(new TransactWriteCommand({ TransactItems: [{ Update: counted }, ...others] }))
        },
        (refusal) => {
          const item = unmarshall((refusal.Item ?? itemMetBy(refusal, 0) ?? {}) as Record<string, AttributeValue>)
          // An earlier attempt has counted it, and its answer was lost.
          if (codesIn(item).includes(code)) return undefined
          if (isRefusedAt(refusal, others.length)) return 'ended'
          return { notBefore: Math.max(notBefore(codesIn(item), at, limits.address), notBefore(listIn(item, NETWORK + network), at, limits.network)) }
        }
      ) as { notBefore: number } | 'ended' | undefined
    },

    async openChallenge ({ challengeId, ...challenge }, count) {
      const { userId, expiresAt } = challenge
      if (count?.isUncounted === true) await dynamodb.send(new PutCommand({ TableName: table, Item: { ...uncountedKey(count.address, challengeId), expiresAt } }))
      // Before the challenge, so that an erasure of the account finds both. Costs half of a transaction.
      const isSignIn = challenge.emailChange === undefined && challenge.undoes === undefined
      if (!isSignIn) await dynamodb.send(new PutCommand({ TableName: table, Item: { ...userKey(userId, CHALLENGE + challengeId), expiresAt } }))
      await unlessRefused<unknown>(async () => await dynamodb.send(new PutCommand({
        TableName: table,
        Item: { ...challengeKey(challengeId), ...challenge },
        // When the entry is handled twice, a challenge that is open or was used stays unchanged.
        ConditionExpression: 'attribute_not_exists(pk) OR (expiresAt <= :now AND attribute_not_exists(usedBy))',
        ExpressionAttributeValues: { ':now': seconds() }
      })))
      if (count !== undefined) await trim(count)
    },

    async takeTry (challengeId, tryId) {
      const taken = await update({
        Key: challengeKey(challengeId),
        // A set of try ids and not a counter: when an answer was lost, the SDK's retry counts as the same try.
        UpdateExpression: 'ADD tries :try',
        ConditionExpression: '(attribute_not_exists(tries) OR size(tries) < :max OR contains(tries, :id)) AND expiresAt > :now AND attribute_not_exists(usedBy)',
        ExpressionAttributeValues: { ':try': new Set([tryId]), ':id': tryId, ':max': MAX_TRIES, ':now': seconds() },
        ReturnValues: 'ALL_NEW'
      })
      if (taken === undefined) return undefined
      const { pk, sk, tries, expiresAt, ...challenge } = taken.Attributes ?? {}
      if (!Value.Check(Challenge, challenge)) throw new Error('A challenge in the auth table is not valid')
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
      const item = await getItem(sessionKey(userId, sid))
      if (item === undefined) return undefined
      const { pk, sk, ...attributes } = item
      const session = { ...attributes, userId, sid }
      if (!Value.Check(Session, session)) throw new Error('A session in the auth table is not valid')
      return session
    },

    async rotate (session, next) {
      const done = await update({
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
      })
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
      const TransactItems = [end, ...(by === sid ? [] : [{ ConditionCheck: ifLive(userId, by) }])]
      return await unlessRefused<'done', 'unknown' | 'ended'>(async () => {
        await dynamodb.send(new TransactWriteCommand({ TransactItems }))
        return 'done'
      }, refusal => isRefusedAt(refusal, TransactItems.length - 1) ? 'ended' : 'unknown')
    },

    deleteSession,

    async codesOf (mailbox, userId) {
      const codes = (await listsOf(mailbox)).filter(({ sk }) => sk === codesKey('').sk).flatMap(codesIn)
      return await Promise.all(codes.sort().reverse().map(async (code) => {
        const [requestedAt, challengeId] = partsOf(code)
        const challenge = await getItem(challengeKey(challengeId))
        if (challenge?.['userId'] !== userId) return { requestedAt }
        const tries = challenge['tries'] instanceof Set ? challenge['tries'].size : 0
        return { requestedAt, challenge: { expiresAt: Number(challenge['expiresAt']), tries } }
      }))
    },

    async forgetCodes ({ userId, address, mailbox, at }) {
      const lists = await listsOf(mailbox)
      const counted = lists.flatMap(codesIn).map(partsOf)
      const uncounted = lists.filter(({ sk }) => sk.startsWith(UNCOUNTED)).map(({ sk }) => [undefined, sk.slice(UNCOUNTED.length)] as const)
      const requested = new Map([...counted, ...uncounted].map(([time, id]) => [id, time]))
      const pseudonyms = Object.fromEntries(address.map((pseudonym, i) => [`:address${i}`, pseudonym]))
      for (const [challengeId, time] of requested) {
        const isOfAddress = time !== undefined && time <= at ? ` OR address IN (${Object.keys(pseudonyms).join(', ')})` : ''
        await unlessRefused(() => dynamodb.send(new DeleteCommand({
          TableName: table,
          Key: challengeKey(challengeId),
          ConditionExpression: `userId = :userId${isOfAddress}`,
          ExpressionAttributeValues: { ':userId': userId, ...(isOfAddress === '' ? {} : pseudonyms) }
        })))
      }
      for (const { pk, sk } of lists) await dynamodb.send(new DeleteCommand({ TableName: table, Key: { pk, sk } }))
    },

    async deleteSessions (userId, hasEnded) {
      await eachOf(userId, async (sk) => {
        const sid = sk.slice(SESSION.length)
        if (sk.startsWith(SESSION) && hasEnded(sid)) await deleteSession(userId, sid)
      })
    },

    async forgetUser (userId) {
      await dynamodb.send(new PutCommand({ TableName: table, Item: { ...erasureKey(userId), kind: 'erased', expiresAt: seconds() + ERASED_FOR } }))
      await eachOf(userId, async (sk) => {
        if (sk.startsWith(CHALLENGE)) await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: challengeKey(sk.slice(CHALLENGE.length)) })))
        await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: userKey(userId, sk) })))
      })
    }
  }
}
