import { DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Outbox } from '../../plugins/outbox/index.ts'
import { isRefusedAt } from '../../shared/aws-errors.ts'
import { itemMetBy, unlessRefused } from '../../shared/conditional-write.ts'
import type { ChallengeRepository, Former } from './challenge-repository.ts'
import type { AuthEntry } from './contract.ts'
import { codesIn, codesKey, listIn, NETWORK, partsOf, timeOf, UNCOUNTED, uncountedKey, type Item } from './items.ts'
import { stillLive } from './session-repository.ts'

/** At most `max` codes in a sliding `window` of milliseconds. */
export interface Limit { window: number, max: number }

/** A requested code, as it is counted. */
export interface CodeCount {
  /** pseudonyms of the address, of the client's network and of the site that this network is part of */
  address: string
  network: string
  site?: string
  challengeId: string
  at: Date
  limits: { address: readonly Limit[], network: readonly Limit[], site: readonly Limit[] }
  /** the session that asks for the code, which must not have ended */
  by?: { userId: string, sid: string }
}

/** A requested code and the state of its challenge. */
export interface RequestedCode {
  requestedAt: string
  challenge?: { expiresAt: number, tries: number }
}

/** What is erased with an account. */
export interface Forgotten extends Former {
  /** pseudonyms of the mailbox under which the codes of the address are counted */
  mailbox: readonly string[]
  /** when the account was deleted, ISO 8601: a challenge that was requested later belongs to the next account of the address */
  at: string
}

export interface CodeRepository {
  /**
   * Counts a code and puts its outbox entry, if there is one, in one call. When a limit is reached, writes nothing and
   * returns when the next code may be requested, in milliseconds since the epoch; `ended` when the session that asks has
   * ended. A repeated call for the same code counts once.
   */
  requestCode (count: CodeCount, entry: AuthEntry | undefined): Promise<{ notBefore: number } | 'ended' | undefined>
  /** Notes a challenge that does not have the id under which its code was counted. `expiresAt` in seconds since the epoch. */
  noteUncounted (address: string, challengeId: string, expiresAt: number): Promise<void>
  /** Removes from the lists of an address what no limit needs any more. */
  trim (count: Pick<CodeCount, 'address' | 'limits'>): Promise<void>
  /** When codes were requested under an address's pseudonyms, newest first, each with its challenge if that is still open and belongs to the user. */
  codesOf (mailbox: readonly string[], userId: string): Promise<RequestedCode[]>
  /** Erases what is kept under an address's pseudonyms: the counts of codes, and the challenges of the user or of the address, except its next owner's. Marks the codes that were requested before as spent. */
  forgetCodes (forgotten: Forgotten): Promise<void>
}

export interface CodeRepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<AuthEntry>
  challenges: Pick<ChallengeRepository, 'stateOf' | 'spend' | 'removeChallenge'>
  table: string
  now: () => Date
}

/** Old counts removed from the lists of an address at once; an expression may have 300 operators. An address gets 30 codes a day, and each leaves three counts at most. */
const MAX_TRIMMED = 200

const longestOf = (limits: CodeCount['limits']) => Math.max(...[...limits.address, ...limits.network, ...limits.site].map(({ window }) => window))

/** The lists that a code is counted in, each with its limits. */
const listsFor = ({ network, site, limits }: CodeCount) => [
  { name: 'codes', own: limits.address },
  { name: NETWORK + network, own: limits.network },
  ...(site === undefined ? [] : [{ name: NETWORK + site, own: limits.site }])
]

/** When a list allows the next code, in milliseconds since the epoch; a time that has passed when it allows it now. */
function notBefore (codes: string[], limits: readonly Limit[]): number {
  return Math.max(...limits.map(({ window, max }) => codes[max - 1] === undefined ? 0 : timeOf(codes[max - 1]!) + window))
}

/** An update that adds a code to its lists, unless that would exceed a limit. */
function counting (table: string, count: CodeCount, code: string) {
  const { address, at, limits } = count
  const lists = listsFor(count)
  const within = lists.flatMap(({ own }, i) => own.map(({ window, max }) => ({
    condition: `(attribute_not_exists(#l${i}[${max - 1}]) OR #l${i}[${max - 1}] < :after${window})`,
    value: [`:after${window}`, new Date(at.getTime() - window).toISOString()]
  })))
  return {
    TableName: table,
    Key: codesKey(address),
    UpdateExpression: `SET ${lists.map((_, i) => `#l${i} = list_append(${i === 0 ? ':code' : ':time'}, if_not_exists(#l${i}, :none))`).join(', ')}, expiresAt = :expiresAt`,
    ConditionExpression: `(attribute_not_exists(#l0) OR NOT contains(#l0, :text)) AND ${within.map(({ condition }) => condition).join(' AND ')}`,
    ExpressionAttributeNames: Object.fromEntries(lists.map(({ name }, i) => [`#l${i}`, name])),
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

/** Requested codes: how many an address and a network get. */
export function createCodeRepository ({ dynamodb, outbox, challenges, table, now }: CodeRepositoryOptions): CodeRepository {
  /** What is kept of the codes of an address. */
  async function listsOf (mailbox: readonly string[]) {
    const pages = await Promise.all(mailbox.map(address => dynamodb.send(new QueryCommand({
      TableName: table,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': codesKey(address).pk },
      ConsistentRead: true
    }))))
    return pages.flatMap(({ Items = [] }) => Items) as (Item & { pk: string, sk: string })[]
  }

  return {
    async requestCode (count, entry) {
      const { challengeId, at, by } = count
      const code = `${at.toISOString()} ${challengeId}`
      const counted = counting(table, count, code)
      const others = [
        ...(entry === undefined ? [] : [{ Put: outbox.write(entry) }]),
        ...(by === undefined ? [] : [stillLive(table, by, Math.floor(now().getTime() / 1000))])
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
          return { notBefore: Math.max(...listsFor(count).map(({ name, own }) => notBefore(listIn(item, name), own))) }
        }
      ) as { notBefore: number } | 'ended' | undefined
    },

    async noteUncounted (address, challengeId, expiresAt) {
      await dynamodb.send(new PutCommand({ TableName: table, Item: { ...uncountedKey(address, challengeId), expiresAt } }))
    },

    // Reads first: there is rarely something to remove, and a refused write costs ten times as much as this read. A code
    // that is counted meanwhile leaves it to the next one.
    async trim ({ address, limits }) {
      const { Item = {} } = await dynamodb.send(new GetCommand({ TableName: table, Key: codesKey(address) }))
      const old = Object.keys(Item).filter(name => name === 'codes' || name.startsWith(NETWORK)).flatMap((name) => {
        const list = listIn(Item, name)
        // Times are those of the requests, so a list may be out of order by minutes.
        const first = list.findLastIndex(code => timeOf(code) > now().getTime() - longestOf(limits)) + 1
        return first === list.length ? [] : [{ name, list, first }]
      })
      if (old.length === 0) return
      // The last one first: an engine that removes one after the other would take the next ones for those that moved up.
      const removed = old.flatMap(({ list, first }, i) => first === 0 ? `#l${i}` : list.slice(first).map((_, n) => `#l${i}[${list.length - 1 - n}]`)).slice(0, MAX_TRIMMED)
      await unlessRefused(() => dynamodb.send(new UpdateCommand({
        TableName: table,
        Key: codesKey(address),
        UpdateExpression: `REMOVE ${removed.join(', ')}`,
        ConditionExpression: old.map(({ first }, i) => `#l${i}[${first}] = :first${i}`).join(' AND '),
        ExpressionAttributeNames: Object.fromEntries(old.map(({ name }, i) => [`#l${i}`, name])),
        ExpressionAttributeValues: Object.fromEntries(old.map(({ list, first }, i) => [`:first${i}`, list[first]]))
      })))
    },

    async codesOf (mailbox, userId) {
      const codes = (await listsOf(mailbox)).flatMap(codesIn)
      return await Promise.all(codes.sort().reverse().map(async (code) => {
        const [requestedAt, challengeId] = partsOf(code)
        const challenge = await challenges.stateOf(challengeId, userId)
        return { requestedAt, ...(challenge === undefined ? {} : { challenge }) }
      }))
    },

    async forgetCodes ({ mailbox, at, ...former }) {
      const lists = await listsOf(mailbox)
      const counted = lists.flatMap(codesIn).map(partsOf)
      const uncounted = lists.filter(({ sk }) => sk.startsWith(UNCOUNTED)).map(({ sk }) => [undefined, sk.slice(UNCOUNTED.length)] as const)
      for (const [challengeId, time] of new Map([...counted, ...uncounted].map(([time, id]) => [id, time]))) {
        if (time === undefined || time > at) await challenges.removeChallenge(challengeId, former.userId)
        else await challenges.spend(challengeId, former)
      }
      for (const { pk, sk } of lists) await dynamodb.send(new DeleteCommand({ TableName: table, Key: { pk, sk } }))
    }
  }
}
