import { BatchGetCommand, QueryCommand, UpdateCommand, type BatchGetCommandInput, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { setTimeout as sleep } from 'node:timers/promises'
import { unlessRefused } from '../../shared/conditional-write.ts'
import { Unavailable } from '../../shared/errors.ts'
import type { Page } from '../../shared/paging.ts'
import { auditLineIn, auditList, claimKey, isLive, listsKey, monthOf, statusList, userIn, usersList } from './items.ts'
import { StoredUser, type AuditLine, type User } from './schemas.ts'

/** `before`: a place in the list; the page has what is older. Without it, the page begins with the newest. */
export interface PageOptions { limit: number, before?: string | undefined }

export interface DirectoryRepository {
  /** A caller's own account, and the month of the first account. One call, strongly consistent. */
  begin (callerId: string): Promise<{ caller: StoredUser | undefined, firstMonth: string | undefined }>
  /** A caller's own account, and the id of the user who owns an address. One call, strongly consistent. */
  lookUp (callerId: string, email: string): Promise<{ caller: StoredUser | undefined, ownerId: string | undefined }>
  /**
   * A page of users, newest first. One call while the page is in one month; more when the month has too few. Waits for
   * `firstMonth` only then. Eventually consistent.
   */
  list (options: PageOptions & { status?: User['status'] | undefined }, firstMonth: Promise<string | undefined>): Promise<Page<StoredUser>>
  /** Users by their ids, at most 100. One call, strongly consistent. */
  byIds (ids: string[]): Promise<Map<string, StoredUser>>
  /** A page of the audit lines about an account, newest first. Eventually consistent. */
  audit (userId: string, options: PageOptions): Promise<Page<AuditLine>>
  /** Notes that there are accounts of the month of this time, ISO 8601. Writes at most once in a process, and again only for an older month. */
  noteListed (createdAt: string): Promise<void>
}

export interface DirectoryRepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  table: string
  /** start of the URLs of avatars */
  publicUrl: string
  now: () => Date
}

/**
 * Queries of a page. Months without accounts and accounts that a filter leaves out must not make a page expensive: such a
 * page is shorter, and the next one goes on.
 */
const MAX_QUERIES = 6

/** Attempts at keys that DynamoDB leaves unprocessed, before the caller gets an error. */
const ATTEMPTS = 5
/** Milliseconds before the second attempt; doubled each time: 0.4 s in all at most. */
const FIRST_DELAY = 25

type Item = Record<string, unknown>
type Request = NonNullable<BatchGetCommandInput['RequestItems']>

/** What is read of a user, as a projection. */
const FIELDS = [...Object.keys(StoredUser.properties).map(field => field === 'id' ? 'userId' : field), 'kind']
const PROJECTION = {
  ProjectionExpression: FIELDS.map((_, i) => `#f${i}`).join(', '),
  ExpressionAttributeNames: Object.fromEntries(FIELDS.map((field, i) => [`#f${i}`, field]))
}

/** The month that is some months after another one. */
function monthAfter (month: string, months: number): string {
  const [year, number] = month.split('-').map(Number) as [number, number]
  return monthOf(new Date(Date.UTC(year, number - 1 + months)).toISOString())
}

/** The month of the newest items before a place. A month as a place stands for its beginning. */
const monthBefore = (place: string): string => place.length > monthOf(place).length ? monthOf(place) : monthAfter(place, -1)

/** Reads many accounts, and lists of them, for admins. */
export function createDirectoryRepository ({ dynamodb, table, publicUrl, now }: DirectoryRepositoryOptions): DirectoryRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  /** Items by their keys, in no order, without those that have expired. */
  async function getMany (ids: string[], projection = {}): Promise<Map<string, Item>> {
    const items = new Map<string, Item>()
    let RequestItems: Request = { [table]: { Keys: ids.map(userId => ({ userId })), ConsistentRead: true, ...projection } }
    for (let attempt = 1; ; attempt++) {
      const { Responses, UnprocessedKeys = {} } = await dynamodb.send(new BatchGetCommand({ RequestItems }))
      for (const item of Responses?.[table] ?? []) if (isLive(item, seconds())) items.set(String(item['userId']), item)
      if (Object.keys(UnprocessedKeys).length === 0) return items
      if (attempt === ATTEMPTS) throw new Unavailable()
      RequestItems = UnprocessedKeys
      await sleep(FIRST_DELAY * 2 ** (attempt - 1) * (0.5 + Math.random() / 2))
    }
  }

  async function query (IndexName: 'list' | 'status', partition: string, before: string, Limit: number, status?: string) {
    const attribute = IndexName === 'list' ? 'list' : 'listStatus'
    const { Items = [], LastEvaluatedKey } = await dynamodb.send(new QueryCommand({
      TableName: table,
      IndexName,
      KeyConditionExpression: '#partition = :partition AND listedAt < :before',
      // Expired items may still be there: DynamoDB removes them days late.
      FilterExpression: `(attribute_not_exists(expiresAt) OR expiresAt > :now)${status === undefined ? '' : ' AND #status = :status'}`,
      ExpressionAttributeNames: { '#partition': attribute, ...(status === undefined ? {} : { '#status': 'status' }) },
      ExpressionAttributeValues: { ':partition': partition, ':before': before, ':now': seconds(), ...(status === undefined ? {} : { ':status': status }) },
      ScanIndexForward: false,
      Limit
    }))
    return { items: Items as Item[], readTo: LastEvaluatedKey?.['listedAt'] as string | undefined }
  }

  /** A page of what `read` gives, which may be less than there is. */
  async function fill (limit: number, start: string, read: (place: string) => Promise<{ items: Item[], next: string | undefined }>): Promise<Page<Item>> {
    const items: Item[] = []
    let place = start
    for (let queries = 1; queries <= MAX_QUERIES; queries++) {
      const { items: found, next } = await read(place)
      items.push(...found)
      // One more than the page needs: it is not the last.
      if (items.length > limit) return { items: items.slice(0, limit), next: String(items[limit - 1]!['listedAt']) }
      if (next === undefined) return { items }
      place = next
      if (items.length === limit) break
    }
    return { items, next: place }
  }

  let noted: { month: string, done: Promise<unknown> } | undefined

  return {
    async begin (callerId) {
      const items = await getMany([callerId, listsKey.userId])
      const firstMonth = items.get(listsKey.userId)?.['firstMonth']
      return { caller: userIn(items.get(callerId), publicUrl), firstMonth: typeof firstMonth === 'string' ? firstMonth : undefined }
    },

    async lookUp (callerId, email) {
      const { userId } = claimKey(email)
      const items = await getMany([callerId, userId])
      const ownerId = items.get(userId)?.['ownerId']
      return { caller: userIn(items.get(callerId), publicUrl), ownerId: typeof ownerId === 'string' ? ownerId : undefined }
    },

    async list ({ status, limit, before }, firstMonth) {
      const thisMonth = monthOf(now().toISOString())
      const isSparse = status !== undefined && status !== 'ACTIVE'
      // Most accounts are active. A page of them is filtered, and reads twice as much.
      const Limit = status === 'ACTIVE' ? 2 * limit + 1 : limit + 1
      const { items, next } = await fill(limit, before ?? monthAfter(thisMonth, 1), async (place) => {
        const bucket = monthBefore(place)
        const { items, readTo } = isSparse
          ? await query('status', statusList(status, bucket), place, Limit)
          : await query('list', usersList(bucket), place, Limit, status)
        // This month is read, so whether there are older ones matters only when it is done.
        const isRead = readTo === undefined
        const isLast = isRead && items.length <= limit && bucket <= (await firstMonth ?? thisMonth)
        return { items, next: isLast ? undefined : readTo ?? bucket }
      })
      return { items: items.map(item => userIn(item, publicUrl)!), ...(next === undefined ? {} : { next }) }
    },

    async byIds (ids) {
      const items = await getMany(ids, PROJECTION)
      return new Map([...items.values()].flatMap(item => { const user = userIn(item, publicUrl); return user === undefined ? [] : [[user.id, user]] }))
    },

    async audit (userId, { limit, before = '~' }) {
      const { items, next } = await fill(limit, before, async (place) => {
        const { items, readTo } = await query('list', auditList(userId), place, limit + 1)
        return { items, next: readTo }
      })
      return { items: items.map(auditLineIn), ...(next === undefined ? {} : { next }) }
    },

    async noteListed (createdAt) {
      const month = monthOf(createdAt)
      if (noted === undefined || month < noted.month) {
        noted = {
          month,
          done: unlessRefused(() => dynamodb.send(new UpdateCommand({
            TableName: table,
            Key: listsKey,
            UpdateExpression: 'SET firstMonth = :month, kind = :kind',
            ConditionExpression: 'attribute_not_exists(firstMonth) OR firstMonth > :month',
            ExpressionAttributeValues: { ':month': month, ':kind': 'lists' }
          })))
        }
      }
      await noted.done.catch((error: unknown) => { noted = undefined; throw error })
    }
  }
}
