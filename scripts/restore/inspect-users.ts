import { TransactWriteCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { isDeepStrictEqual } from 'node:util'
import { adminsKey, auditList, claimItem, claimKey, claimsOf, isActiveAdmin, isLive, listsKey, userItem } from '../../src/modules/users/items.ts'
import type { StoredUser } from '../../src/modules/users/schemas.ts'
import { inParallel } from '../in-parallel.ts'
import { addAdmin, asUser, claimKeysOf, holds, ifStill, ifVersion, type Writes } from './accounts.ts'
import { itemsOf, pagesOf, type Item } from './items.ts'
import type { Ledger } from './ledger.ts'

/** Faults of a table of accounts: how many, and ids of some of them. */
export type Faults = Record<string, string[]>

export interface InspectOptions {
  dynamodb: DynamoDBDocumentClient
  table: string
  ledger: Ledger
  /** repairs what follows from the accounts: claims, index attributes, the set of admins */
  isRepairing?: boolean
  onPage?: (items: number) => void
  now?: () => Date
}

/** The newest state that an admin gave an account. */
interface Change { at: string, status?: unknown, role?: unknown }

/** The newest changes by admins, by the account's list of audit lines. */
async function readAudit (dynamodb: DynamoDBDocumentClient, table: string): Promise<Map<string, Change>> {
  const newest = new Map<string, Change>()
  for await (const page of pagesOf(dynamodb, table, { FilterExpression: 'begins_with(userId, :prefix)', ExpressionAttributeValues: { ':prefix': 'audit#' } })) {
    for (const { list, at, status, role } of page) {
      if (status === undefined && role === undefined) continue
      const known = newest.get(String(list))
      if (known === undefined || known.at < String(at)) newest.set(String(list), { at: String(at), status, role })
    }
  }
  return newest
}

/** Whether an account lacks a change by an admin, which was made after the account's own time. The clocks of two instances may differ by a second. */
const lacks = ({ updatedAt, status, role }: StoredUser, change: Change | undefined): boolean =>
  change !== undefined && Date.parse(change.at) > Date.parse(updatedAt) + 1000 &&
  ((change.status !== undefined && change.status !== status) || (change.role !== undefined && change.role !== role))

/**
 * Checks a table of accounts: each account has its claims and index attributes, each claim its account, the set of admins is
 * that of the active admins, and no erased account is there.
 *
 * @returns what is wrong, after the repairs if there were any; and what was repaired
 */
export async function inspectUsers ({ dynamodb, table, ledger, isRepairing = false, onPage = () => {}, now = () => new Date() }: InspectOptions): Promise<{ faults: Faults, repaired: Record<string, number>, accounts: number }> {
  const faults: Faults = {}
  const repaired: Record<string, number> = {}
  const fault = (what: string, id: string) => { (faults[what] ??= []).push(id) }
  const seconds = () => Math.floor(now().getTime() / 1000)
  const audit = await readAudit(dynamodb, table)
  const admins = new Set<string>()
  /** in which accounts are listed; of more than a thousand, the oldest */
  const months: string[] = []
  let accounts = 0

  const one = async (userId: string) => (await itemsOf(dynamodb, table, 'userId', [userId])).get(userId)

  /** A repair in one transaction; a condition that does not hold means that the service was first. */
  async function repair (what: string, TransactItems: Writes): Promise<boolean> {
    if (!isRepairing) return false
    try {
      await dynamodb.send(new TransactWriteCommand({ TransactItems }))
      repaired[what] = (repaired[what] ?? 0) + 1
      return true
    } catch (error) {
      if ((error as Error).name !== 'TransactionCanceledException') throw error
      return false
    }
  }

  async function checkUser (item: Item, claims: Map<string, Item>): Promise<void> {
    let user = asUser(item)
    const id = String(item['userId'])
    if (user === 'invalid' || user === undefined) return fault('records that are no valid account', id)
    if (ledger.has(id)) fault('erased accounts that are back', id)
    if (lacks(user, audit.get(auditList(id)))) fault('accounts without a later change by an admin', id)
    if (isActiveAdmin(user)) admins.add(id)
    const { lastEventId, ...stored } = item
    const whole = userItem(user)
    if (!isDeepStrictEqual(stored, whole) && !await repair('index attributes', [{ Put: { TableName: table, Item: { ...whole, ...(lastEventId === undefined ? {} : { lastEventId }) }, ...ifVersion(user.version) } }])) fault('accounts that lists leave out', id)
    for (const [email, expiresAt] of claimsOf(user, seconds())) {
      if (claims.get(claimKey(email).userId)?.['ownerId'] === id) continue
      // Read again: the account may have moved on since its page was read.
      user = asUser(await one(id))
      if (user === 'invalid' || !holds(user, email, seconds())) continue
      const claim = await one(claimKey(email).userId)
      if (claim?.['ownerId'] === id) continue
      const isDone = await repair('claims of addresses', [
        { Put: { TableName: table, Item: claimItem(email, id, expiresAt), ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now', ExpressionAttributeValues: { ':now': seconds() } } },
        ifStill(table, user!)
      ])
      if (!isDone) fault('accounts without the claim of their address', id)
    }
  }

  async function checkClaim (claim: Item, owners: Map<string, Item>): Promise<void> {
    const [key, ownerId] = [String(claim['userId']), String(claim['ownerId'])]
    const email = key.slice(claimKey('').userId.length)
    if (holds(asUser(owners.get(ownerId)), email, seconds())) return
    const owner = asUser(await one(ownerId))
    const present = await one(key)
    if (present === undefined || present['ownerId'] !== ownerId || holds(owner, email, seconds())) return
    if (owner === 'invalid') return fault('claims of an address without an account', ownerId)
    const isDone = await repair('claims without an account', [
      { Delete: { TableName: table, Key: { userId: key }, ConditionExpression: 'ownerId = :owner', ExpressionAttributeValues: { ':owner': ownerId } } },
      owner === undefined ? { ConditionCheck: { TableName: table, Key: { userId: ownerId }, ConditionExpression: 'attribute_not_exists(userId)' } } : ifStill(table, owner)
    ])
    if (!isDone) fault('claims of an address without an account', ownerId)
  }

  /** Checks the accounts and claims of a page. */
  async function checkPage (page: Item[]): Promise<void> {
    const live = page.filter(item => isLive(item, seconds()))
    const users = live.filter(({ kind }) => kind === 'user')
    const claims = live.filter(({ kind }) => kind === 'claim')
    const [claimsThere, owners] = await Promise.all([
      itemsOf(dynamodb, table, 'userId', users.flatMap(item => claimKeysOf(asUser(item), seconds()))),
      itemsOf(dynamodb, table, 'userId', claims.map(({ ownerId }) => String(ownerId)))
    ])
    await inParallel(users, async item => await checkUser(item, claimsThere))
    await inParallel(claims, async item => await checkClaim(item, owners))
    for (const { listedAt } of users) if (typeof listedAt === 'string') months.push(listedAt.slice(0, 7))
    if (months.length > 1000) months.splice(0, Infinity, months.sort()[0]!)
    accounts += users.length
  }

  async function checkAdmins (): Promise<void> {
    const set = (await one(adminsKey.userId))?.['ids']
    const listed = set instanceof Set ? set as Set<string> : new Set<string>()
    for (const id of admins) {
      if (listed.has(id)) continue
      const user = asUser(await one(id))
      if (user === 'invalid' || !isActiveAdmin(user)) continue
      if (!await repair('admins', [addAdmin(table, id), ifStill(table, user!)])) fault('admins who are not counted', id)
    }
    for (const id of listed) {
      if (admins.has(id)) continue
      const user = asUser(await one(id))
      if (user !== 'invalid' && isActiveAdmin(user)) continue
      const ifNoAdmin = { ConditionCheck: { TableName: table, Key: { userId: id }, ConditionExpression: 'attribute_not_exists(userId) OR #role <> :admin OR #status <> :active', ExpressionAttributeNames: { '#role': 'role', '#status': 'status' }, ExpressionAttributeValues: { ':admin': 'admin', ':active': 'ACTIVE' } } }
      if (!await repair('admins', [{ Update: { TableName: table, Key: adminsKey, UpdateExpression: 'DELETE ids :ids', ExpressionAttributeValues: { ':ids': new Set([id]) } } }, ifNoAdmin])) fault('admins who are none', id)
    }
  }

  /** Checks that the list of accounts does not end before the oldest one. */
  async function checkEndOfList (): Promise<void> {
    const firstMonth = (await one(listsKey.userId))?.['firstMonth']
    const oldest = months.sort()[0]
    if (oldest === undefined || (typeof firstMonth === 'string' && firstMonth <= oldest)) return
    const isDone = await repair('the end of the list', [{ Update: { TableName: table, Key: listsKey, UpdateExpression: 'SET firstMonth = :month, kind = :kind', ConditionExpression: 'attribute_not_exists(firstMonth) OR firstMonth > :month', ExpressionAttributeValues: { ':month': oldest, ':kind': 'lists' } } }])
    if (!isDone) fault('accounts older than the end of the list', oldest)
  }

  let items = 0
  for await (const page of pagesOf(dynamodb, table)) {
    await checkPage(page)
    onPage(items += page.length)
  }
  await checkAdmins()
  await checkEndOfList()
  return { faults, repaired, accounts }
}
