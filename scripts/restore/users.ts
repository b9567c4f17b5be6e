import { PutCommand, TransactWriteCommand, type DynamoDBDocumentClient, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { adminsKey, auditList, claimItem, claimKey, claimsOf, erasedKey, isActiveAdmin, isLive, listsKey, userIn, userItem } from '../../src/modules/users/items.ts'
import type { StoredUser } from '../../src/modules/users/schemas.ts'
import { inParallel, itemsOf, pagesOf, type Item } from './items.ts'
import type { Ledger } from './ledger.ts'

// Copies lost accounts from a restored table into the live one (ADR 113). The live table is written while the service runs,
// so every write has a condition, and what the service wrote since is never replaced.

type Writes = NonNullable<TransactWriteCommandInput['TransactItems']>

/** What becomes of the accounts of a restored table. The first three are copied. */
export type Outcome = 'missing' | 'older' | 'altered' | 'same' | 'newer' | 'erased' | 'taken' | 'invalid'

export interface CopyReport {
  accounts: Record<Outcome, number>
  /** ids of accounts whose address belongs to another account now */
  taken: string[]
  /** markers of erasure and audit lines that the live table has lost */
  records: number
  /** items that are left out, by kind */
  leftOut: Record<string, number>
}

export interface UsersCopyOptions {
  dynamodb: DynamoDBDocumentClient
  /** names of the tables */
  live: string
  restored: string
  ledger: Ledger
  now?: () => Date
}

/**
 * How far the version of a copied account is moved on. Versions between the backup and the loss were seen: by clients as an
 * ETag, by other services as `userVersion`. The copy must be newer than all of them.
 */
export const VERSION_GAP = 1000

/** Accounts whose live items are read in one go: about a hundred keys. */
const CHUNK = 32

/** Attempts at an account that changes while it is copied. */
const ATTEMPTS = 5

const asUser = (item: Item | undefined): StoredUser | 'invalid' | undefined => {
  try {
    return userIn(item, '')
  } catch {
    return 'invalid'
  }
}

/** The condition that an item has not changed since it was read. Every write of the service moves the version on. */
const ifVersion = (version: unknown) => version === undefined
  ? { ConditionExpression: 'attribute_not_exists(version)' }
  : { ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': version } }

const holds = (user: StoredUser | 'invalid' | undefined, email: string, seconds: number): boolean =>
  user !== undefined && user !== 'invalid' && isLive(user, seconds) && claimsOf(user, seconds).has(email)

/** Accounts that are named by claims of an address which they do not hold, by address. */
type Owners = Map<string, { id: string, version: unknown }>

interface Judgement { outcome: Outcome, item: Item | undefined, present: StoredUser | 'invalid' | undefined, owners: Owners }

export function createUsersCopy ({ dynamodb, live, restored, ledger, now = () => new Date() }: UsersCopyOptions) {
  const seconds = () => Math.floor(now().getTime() / 1000)

  async function transact (TransactItems: Writes): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await dynamodb.send(new TransactWriteCommand({ TransactItems }))
        return true
      } catch (error) {
        const { name, CancellationReasons: reasons = [] } = error as { name: string, CancellationReasons?: { Code?: string }[] }
        if (name !== 'TransactionCanceledException') throw error
        if (reasons.some(({ Code }) => Code === 'ConditionalCheckFailed')) return false
        // A request of the service writes the same item at the same time.
        if (attempt === ATTEMPTS) throw error
        await sleep(50 * attempt)
      }
    }
  }

  /** The keys of the live items that an account is judged by. */
  const keysOf = (backup: StoredUser) => [backup.id, erasedKey(backup.id).userId, ...[...claimsOf(backup, seconds()).keys()].map(email => claimKey(email).userId)]

  /** What is to be done with an account. `items`: the live items of its keys. */
  async function judge (backup: StoredUser, items: ReadonlyMap<string, Item>): Promise<Judgement> {
    const addresses = claimsOf(backup, seconds())
    const item = items.get(backup.id)
    const present = asUser(item)
    const result = (outcome: Outcome, owners: Owners = new Map()) => ({ outcome, item, present, owners })
    if (ledger.has(backup.id) || items.has(erasedKey(backup.id).userId)) return result('erased')
    const outcome = item === undefined
      ? 'missing'
      : present === undefined || present === 'invalid'
        ? 'altered'
        : present.version > backup.version ? 'newer' : present.version < backup.version ? 'older' : isDeepStrictEqual(userItem(present), userItem(backup)) ? 'same' : 'altered'
    if (outcome === 'newer' || outcome === 'same') return result(outcome)
    const owners: Owners = new Map()
    for (const email of addresses.keys()) {
      const claim = items.get(claimKey(email).userId)
      const id = claim === undefined || !isLive(claim, seconds()) ? undefined : claim['ownerId']
      if (typeof id !== 'string' || id === backup.id) continue
      const owner = (await itemsOf(dynamodb, live, 'userId', [id])).get(id)
      // The claim of a former address is not worth losing the account for.
      if (holds(asUser(owner), email, seconds())) return result('taken')
      owners.set(email, { id, version: owner?.['version'] })
    }
    return result(outcome, owners)
  }

  const ifUnchanged = (id: string, version: unknown) => ({
    ConditionCheck: {
      TableName: live,
      Key: { userId: id },
      ...ifVersion(version)
    }
  })

  /** Copies one account with its claims, if it is to be copied. */
  async function copyUser (backup: StoredUser, read: ReadonlyMap<string, Item>, isDry: boolean): Promise<Outcome> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const { outcome, item, present, owners } = await judge(backup, attempt === 1 ? read : await itemsOf(dynamodb, live, 'userId', keysOf(backup)))
      if (isDry || !['missing', 'older', 'altered'].includes(outcome)) return outcome
      const last = Math.max(backup.version, present === undefined || present === 'invalid' ? 0 : present.version)
      const user = { ...backup, version: last + VERSION_GAP }
      const done = await transact([
        {
          Put: {
            TableName: live,
            Item: userItem(user),
            ...(item === undefined ? { ConditionExpression: 'attribute_not_exists(userId)' } : ifVersion(item['version']))
          }
        },
        // The user may delete the account at this moment.
        { ConditionCheck: { TableName: live, Key: erasedKey(user.id), ConditionExpression: 'attribute_not_exists(userId)' } },
        ...[...claimsOf(user, seconds())].map(([email, expiresAt]) => ({
          Put: {
            TableName: live,
            Item: claimItem(email, user.id, expiresAt),
            ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now OR ownerId = :id OR ownerId = :owner',
            ExpressionAttributeValues: { ':now': seconds(), ':id': user.id, ':owner': owners.get(email)?.id ?? user.id }
          }
        })),
        ...[...new Map([...owners.values()].map(owner => [owner.id, owner])).values()].map(({ id, version }) => ifUnchanged(id, version)),
        ...(isActiveAdmin(user) ? [addAdmin(user.id)] : [])
      ])
      if (done) return outcome
    }
    throw new Error('an account changed each time it was copied: run it again')
  }

  const addAdmin = (id: string) => ({ Update: { TableName: live, Key: adminsKey, UpdateExpression: 'ADD ids :ids SET kind = :kind', ExpressionAttributeValues: { ':ids': new Set([id]), ':kind': 'admins' } } })

  async function putUnlessThere (Item: Item): Promise<boolean> {
    try {
      await dynamodb.send(new PutCommand({ TableName: live, Item, ConditionExpression: 'attribute_not_exists(userId)' }))
      return true
    } catch (error) {
      if ((error as Error).name !== 'ConditionalCheckFailedException') throw error
      return false
    }
  }

  /** Copies what is lost, or with `isDry` only says what that is. */
  async function copy ({ isDry = false, onProgress = () => {} }: { isDry?: boolean, onProgress?: (report: CopyReport) => void } = {}): Promise<CopyReport> {
    const report: CopyReport = { accounts: { missing: 0, older: 0, altered: 0, same: 0, newer: 0, erased: 0, taken: 0, invalid: 0 }, taken: [], records: 0, leftOut: {} }
    const leaveOut = (kind: string) => { report.leftOut[kind] = (report.leftOut[kind] ?? 0) + 1 }
    const count = (id: string, outcome: Outcome) => {
      report.accounts[outcome]++
      if (outcome === 'taken') report.taken.push(id)
    }
    for await (const page of pagesOf(dynamodb, restored)) {
      const backups: StoredUser[] = []
      const records: Item[] = []
      for (const item of page) {
        const kind = item['userId'] === adminsKey.userId ? 'admins' : String(item['kind'] ?? 'unknown')
        const backup = kind === 'user' ? asUser(item) : undefined
        if (!isLive(item, seconds())) leaveOut(`expired ${kind}`)
        else if (kind === 'user' && typeof backup === 'object') backups.push(backup)
        else if (kind === 'user') count(String(item['userId']), 'invalid')
        else if (kind === 'erased' || kind === 'audit') records.push(item)
        // Claims, the set of admins and the end of the list follow from the accounts.
        else if (kind !== 'lists' && kind !== 'admins' && kind !== 'claim') leaveOut(kind)
      }
      for (let i = 0; i < backups.length; i += CHUNK) {
        const chunk = backups.slice(i, i + CHUNK)
        const read = await itemsOf(dynamodb, live, 'userId', chunk.flatMap(keysOf))
        await inParallel(chunk, async (backup) => { count(backup.id, await copyUser(backup, read, isDry)) })
        onProgress(report)
      }
      const there = await itemsOf(dynamodb, live, 'userId', records.map(({ userId }) => String(userId)))
      await inParallel(records.filter(({ userId }) => !there.has(String(userId))), async (Item) => {
        if (isDry || await putUnlessThere(Item)) report.records++
      })
      onProgress(report)
    }
    return report
  }

  return { copy }
}

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

/** The newest state that an admin gave an account, by the account's list of audit lines. */
async function readAudit (dynamodb: DynamoDBDocumentClient, table: string): Promise<Map<string, { at: string, status?: unknown, role?: unknown }>> {
  const newest = new Map<string, { at: string, status?: unknown, role?: unknown }>()
  for await (const page of pagesOf(dynamodb, table, { FilterExpression: 'begins_with(userId, :prefix)', ExpressionAttributeValues: { ':prefix': 'audit#' } })) {
    for (const { list, at, status, role } of page) {
      if (status === undefined && role === undefined) continue
      const known = newest.get(String(list))
      if (known === undefined || known.at < String(at)) newest.set(String(list), { at: String(at), status, role })
    }
  }
  return newest
}

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
  const months: string[] = []
  let accounts = 0
  let items = 0

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
  const ifStill = ({ id, version }: StoredUser) => ({ ConditionCheck: { TableName: table, Key: { userId: id }, ...ifVersion(version) } })

  async function checkUser (item: Item, claims: Map<string, Item>): Promise<void> {
    let user = asUser(item)
    const id = String(item['userId'])
    if (user === 'invalid' || user === undefined) return fault('records that are no valid account', id)
    if (ledger.has(id)) fault('erased accounts that are back', id)
    const last = audit.get(auditList(id))
    if (last !== undefined && Date.parse(last.at) > Date.parse(user.updatedAt) + 1000 && ((last.status !== undefined && last.status !== user.status) || (last.role !== undefined && last.role !== user.role))) fault('accounts without a later change by an admin', id)
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
        ifStill(user!)
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
      owner === undefined ? { ConditionCheck: { TableName: table, Key: { userId: ownerId }, ConditionExpression: 'attribute_not_exists(userId)' } } : ifStill(owner)
    ])
    if (!isDone) fault('claims of an address without an account', ownerId)
  }

  for await (const page of pagesOf(dynamodb, table)) {
    const live = page.filter(item => isLive(item, seconds()))
    const users = live.filter(({ kind }) => kind === 'user')
    const claims = live.filter(({ kind }) => kind === 'claim')
    const [claimsThere, owners] = await Promise.all([
      itemsOf(dynamodb, table, 'userId', users.flatMap(item => { const user = asUser(item); return user === undefined || user === 'invalid' ? [] : [...claimsOf(user, seconds()).keys()].map(email => claimKey(email).userId) })),
      itemsOf(dynamodb, table, 'userId', claims.map(({ ownerId }) => String(ownerId)))
    ])
    await inParallel(users, async item => await checkUser(item, claimsThere))
    await inParallel(claims, async item => await checkClaim(item, owners))
    for (const { listedAt } of users) if (typeof listedAt === 'string') months.push(listedAt.slice(0, 7))
    if (months.length > 1000) months.splice(0, Infinity, months.sort()[0]!)
    accounts += users.length
    onPage(items += page.length)
  }

  const set = (await one(adminsKey.userId))?.['ids']
  const listed = set instanceof Set ? set as Set<string> : new Set<string>()
  for (const id of admins) {
    if (listed.has(id)) continue
    const user = asUser(await one(id))
    if (user === 'invalid' || !isActiveAdmin(user)) continue
    if (!await repair('admins', [{ Update: { TableName: table, Key: adminsKey, UpdateExpression: 'ADD ids :ids SET kind = :kind', ExpressionAttributeValues: { ':ids': new Set([id]), ':kind': 'admins' } } }, ifStill(user!)])) fault('admins who are not counted', id)
  }
  for (const id of listed) {
    if (admins.has(id)) continue
    const user = asUser(await one(id))
    if (user !== 'invalid' && isActiveAdmin(user)) continue
    const ifNoAdmin = { ConditionCheck: { TableName: table, Key: { userId: id }, ConditionExpression: 'attribute_not_exists(userId) OR #role <> :admin OR #status <> :active', ExpressionAttributeNames: { '#role': 'role', '#status': 'status' }, ExpressionAttributeValues: { ':admin': 'admin', ':active': 'ACTIVE' } } }
    if (!await repair('admins', [{ Update: { TableName: table, Key: adminsKey, UpdateExpression: 'DELETE ids :ids', ExpressionAttributeValues: { ':ids': new Set([id]) } } }, ifNoAdmin])) fault('admins who are none', id)
  }
  const firstMonth = (await one(listsKey.userId))?.['firstMonth']
  const oldest = months.sort()[0]
  if (oldest !== undefined && (typeof firstMonth !== 'string' || firstMonth > oldest)) {
    const isDone = await repair('the end of the list', [{ Update: { TableName: table, Key: listsKey, UpdateExpression: 'SET firstMonth = :month, kind = :kind', ConditionExpression: 'attribute_not_exists(firstMonth) OR firstMonth > :month', ExpressionAttributeValues: { ':month': oldest, ':kind': 'lists' } } }])
    if (!isDone) fault('accounts older than the end of the list', oldest)
  }
  return { faults, repaired, accounts }
}
