import { TransactWriteCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { setTimeout as sleep } from 'node:timers/promises'
import { adminsKey, claimItem, claimsOf, erasedKey, isActiveAdmin, isLive, userItem } from '../../src/modules/users/items.ts'
import type { StoredUser } from '../../src/modules/users/schemas.ts'
import { inParallel } from '../in-parallel.ts'
import { addAdmin, asUser, ifStill, ifVersion, type Writes } from './accounts.ts'
import { itemsOf, pagesOf, putUnlessThere, type Item } from './items.ts'
import { judge, keysOf, type Judgement, type Outcome } from './judge.ts'
import type { Ledger } from './ledger.ts'

// Copies lost accounts from a restored table into the live one (ADR 113). The live table is written while the service runs,
// so every write has a condition, and what the service wrote since is never replaced.

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
  /** only counts what would be copied */
  isDry?: boolean
  onProgress?: (report: CopyReport) => void
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

/** Whether a transaction was made: not when one of its conditions does not hold. */
async function transact (dynamodb: DynamoDBDocumentClient, TransactItems: Writes): Promise<boolean> {
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

/** The writes that bring an account with its claims into the live table, if nothing has changed since it was judged. */
function writesOf (backup: StoredUser, { item, present, owners }: Judgement, live: string, seconds: number): Writes {
  const last = Math.max(backup.version, present === undefined || present === 'invalid' ? 0 : present.version)
  const user = { ...backup, version: last + VERSION_GAP }
  return [
    {
      Put: {
        TableName: live,
        Item: userItem(user),
        ...(item === undefined ? { ConditionExpression: 'attribute_not_exists(userId)' } : ifVersion(item['version']))
      }
    },
    // The user may delete the account at this moment.
    { ConditionCheck: { TableName: live, Key: erasedKey(user.id), ConditionExpression: 'attribute_not_exists(userId)' } },
    ...[...claimsOf(user, seconds)].map(([email, expiresAt]) => ({
      Put: {
        TableName: live,
        Item: claimItem(email, user.id, expiresAt),
        ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now OR ownerId = :id OR ownerId = :owner',
        ExpressionAttributeValues: { ':now': seconds, ':id': user.id, ':owner': owners.get(email)?.id ?? user.id }
      }
    })),
    ...[...new Map([...owners.values()].map(owner => [owner.id, owner])).values()].map(owner => ifStill(live, owner)),
    ...(isActiveAdmin(user) ? [addAdmin(live, user.id)] : [])
  ]
}

/** Copies what is lost, or with `isDry` only says what that is. */
export async function copyUsers ({ dynamodb, live, restored, ledger, isDry = false, onProgress = () => {}, now = () => new Date() }: UsersCopyOptions): Promise<CopyReport> {
  const report: CopyReport = { accounts: { missing: 0, older: 0, altered: 0, same: 0, newer: 0, erased: 0, taken: 0, invalid: 0 }, taken: [], records: 0, leftOut: {} }
  const leaveOut = (kind: string) => { report.leftOut[kind] = (report.leftOut[kind] ?? 0) + 1 }
  const count = (id: string, outcome: Outcome) => {
    report.accounts[outcome]++
    if (outcome === 'taken') report.taken.push(id)
  }
  const seconds = () => Math.floor(now().getTime() / 1000)
  const read = async (backups: readonly StoredUser[]) => await itemsOf(dynamodb, live, 'userId', backups.flatMap(backup => keysOf(backup, seconds())))

  /** Copies one account with its claims, if it is to be copied. */
  async function copyUser (backup: StoredUser, items: ReadonlyMap<string, Item>): Promise<Outcome> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const judgement = await judge(backup, attempt === 1 ? items : await read([backup]), { dynamodb, live, ledger, seconds: seconds() })
      const { outcome } = judgement
      if (isDry || !['missing', 'older', 'altered'].includes(outcome)) return outcome
      if (await transact(dynamodb, writesOf(backup, judgement, live, seconds()))) return outcome
    }
    throw new Error('an account changed each time it was copied: run it again')
  }

  /** The accounts, and the markers and audit lines, of a page. */
  function sortOut (page: Item[]): { backups: StoredUser[], records: Item[] } {
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
    return { backups, records }
  }

  for await (const page of pagesOf(dynamodb, restored)) {
    const { backups, records } = sortOut(page)
    for (let i = 0; i < backups.length; i += CHUNK) {
      const chunk = backups.slice(i, i + CHUNK)
      const items = await read(chunk)
      await inParallel(chunk, async (backup) => { count(backup.id, await copyUser(backup, items)) })
      onProgress(report)
    }
    const there = await itemsOf(dynamodb, live, 'userId', records.map(({ userId }) => String(userId)))
    await inParallel(records.filter(({ userId }) => !there.has(String(userId))), async (item) => {
      if (isDry || await putUnlessThere(dynamodb, live, 'userId', item)) report.records++
    })
    onProgress(report)
  }
  return report
}
