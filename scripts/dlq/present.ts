import type { Message } from '@aws-sdk/client-sqs'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb'
import { bodyOf } from './messages.ts'
import type { Tables } from './queues.ts'

// What a redrive would find: a message is days old, and only the present decides what becomes of it.

/** A read that needs a permission, a table and an answer; what is missing is said and stops nothing. */
async function read (client: DynamoDBDocumentClient, TableName: string | undefined, Key: Record<string, string>, what: (item: Record<string, unknown> | undefined) => string): Promise<string> {
  if (TableName === undefined) return 'not looked up: the table is not known here'
  try {
    return what((await client.send(new GetCommand({ TableName, Key, ConsistentRead: true }))).Item)
  } catch (error) {
    return `not looked up: ${(error as Error).name}`
  }
}

function recordText (item: Record<string, unknown> | undefined, now: number): string {
  if (item === undefined) return 'none: no worker has begun to send it'
  if (item['state'] === 'sent') return 'the mail was sent; a redrive sends it no second time'
  return Number(item['leaseUntil']) > now ? 'a worker is sending it now' : 'a worker began to send it and did not end'
}

function accountText (item: Record<string, unknown> | undefined, address: unknown, now: number): string {
  if (item === undefined || (item['expiresAt'] !== undefined && Number(item['expiresAt']) * 1000 <= now)) return 'does not exist any more'
  const status = String(item['status'])
  if (address === undefined) return status
  return `${status}, ${item['email'] === address ? 'its address is the one of the message' : 'its address is another one now'}`
}

function codeText (expiresAt: unknown, now: number): string {
  const at = Date.parse(String(expiresAt))
  if (Number.isNaN(at)) return 'the message has no time for it'
  return at > now ? `good for ${Math.ceil((at - now) / 60_000)} min` : 'expired'
}

/** What is true now about a message of the service: its record, the account, its code. */
export async function presentLines (message: Message, { messageId, userId }: { messageId?: unknown, userId?: unknown }, tables: Tables, isMail: boolean): Promise<string[]> {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({}))
  const now = Date.now()
  const { email, expiresAt } = bodyOf(message)
  try {
    const lines: string[] = []
    if (isMail && typeof messageId === 'string') lines.push(`record: ${await read(client, tables.email, { messageId }, item => recordText(item, now))}`)
    if (typeof userId === 'string') lines.push(`account: ${await read(client, tables.users, { userId }, item => accountText(item, isMail ? email : undefined, now))}`)
    if (isMail) lines.push(`code: ${codeText(expiresAt, now)}`)
    return lines
  } finally {
    client.destroy()
  }
}
