import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { isLive } from '../../src/modules/users/items.ts'
import { inParallel } from '../in-parallel.ts'
import { pagesOf, putUnlessThere } from './items.ts'
import type { Ledger } from './ledger.ts'

// What is copied of the tables that hold no accounts.

export interface RecordsReport { copied: number, leftOut: Record<string, number> }

/** What an item of the auth table is, in words for a report. */
const kindOf = ({ pk, sk, kind }: Record<string, unknown>): string => typeof kind === 'string' ? kind : String(sk).startsWith('session#') ? 'session' : String(pk).split('#')[0]!

interface RecordsOptions {
  dynamodb: DynamoDBDocumentClient
  live: string
  restored: string
  /** the table's hash key */
  hashKey: string
  /** whether an item is copied */
  isWanted: (item: Record<string, unknown>) => boolean
  isDry?: boolean
  onPage?: (report: RecordsReport) => void
  now?: () => Date
}

/** Copies items that the live table does not have, and that have not expired. */
async function copyRecords ({ dynamodb, live, restored, hashKey, isWanted, isDry = false, onPage = () => {}, now = () => new Date() }: RecordsOptions): Promise<RecordsReport> {
  const report: RecordsReport = { copied: 0, leftOut: {} }
  for await (const page of pagesOf(dynamodb, restored)) {
    await inParallel(page, async (Item) => {
      const isExpired = !isLive(Item, Math.floor(now().getTime() / 1000))
      if (isExpired || !isWanted(Item)) {
        const what = `${isExpired ? 'expired ' : ''}${kindOf(Item)}`
        report.leftOut[what] = (report.leftOut[what] ?? 0) + 1
        return
      }
      if (isDry || await putUnlessThere(dynamodb, live, hashKey, Item)) report.copied++
    })
    onPage(report)
  }
  return report
}

type Options = Omit<RecordsOptions, 'hashKey' | 'isWanted'>

/**
 * Of the auth table, only the markers of erasures. A session that is missing may have been revoked since, perhaps because
 * its token was stolen, so none is brought back: users sign in again with a code.
 */
export const copyAuth = async (options: Options) => await copyRecords({ ...options, hashKey: 'pk', isWanted: ({ kind }) => kind === 'erased' })

/** Every record that a mail was sent, so that none is sent twice. */
export const copyEmail = async (options: Options) => await copyRecords({ ...options, hashKey: 'messageId', isWanted: () => true })

/** Ids of erased accounts of which the auth table has something. */
export async function inspectAuth ({ dynamodb, table, ledger }: { dynamodb: DynamoDBDocumentClient, table: string, ledger: Ledger }): Promise<string[]> {
  const found = new Set<string>()
  for await (const page of pagesOf(dynamodb, table, { FilterExpression: 'begins_with(pk, :prefix)', ExpressionAttributeValues: { ':prefix': 'user#' } })) {
    for (const item of page) {
      const id = String(item['pk']).slice('user#'.length)
      if (isLive(item, Math.floor(Date.now() / 1000)) && ledger.has(id)) found.add(id)
    }
  }
  return [...found]
}
