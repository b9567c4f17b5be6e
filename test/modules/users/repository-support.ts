import { DeleteCommand, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import type { UsersEntry, UsersEntryType } from '../../../src/modules/users/contract.ts'
import { adminsKey, claimItem, userItem } from '../../../src/modules/users/items.ts'
import { createRepository } from '../../../src/modules/users/repository.ts'
import { USERS_ENTRIES, type StoredUser } from '../../../src/modules/users/schemas.ts'
import { createStore } from '../../../src/plugins/outbox/store.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { intercept } from '../../faults.ts'

export const NOW = '2026-11-22T12:00:00.500Z'
/** The second of NOW. */
export const SECOND = Math.floor(Date.parse(NOW) / 1000)

/** The repository of accounts by a clock that stands still, and the items behind it. */
export async function startRepository (t: Test) {
  const app = await buildTestApp(t, await startEngines(t))
  const { dynamodb, config: { USERS_TABLE: table } } = app
  const outbox = createStore(dynamodb, { table, key: eventId => ({ userId: `outbox#${eventId}` }), entries: USERS_ENTRIES })
  const repository = createRepository({ dynamodb, outbox, table, publicUrl: 'https://users.example.com', now: () => new Date(NOW) })

  const itemAt = async (userId: string) => (await dynamodb.send(new GetCommand({ TableName: table, Key: { userId }, ConsistentRead: true }))).Item
  const put = async (Item: Record<string, unknown>) => { await dynamodb.send(new PutCommand({ TableName: table, Item })) }

  function newUser (changes: Partial<StoredUser> = {}): StoredUser {
    const id = randomUUID()
    return { id, email: `${id}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: NOW, updatedAt: NOW, version: 4, ...changes }
  }

  return {
    app,
    repository,
    itemAt,
    put,
    newUser,

    /** An account in the table, with its claims. */
    async stored (changes: Partial<StoredUser> = {}): Promise<StoredUser> {
      const user = newUser(changes)
      await put(userItem(user))
      await put(claimItem(user.email, user.id, user.expiresAt))
      for (const { email, until } of user.formerAddresses ?? []) await put(claimItem(email, user.id, until))
      return user
    },

    entryOf: <T extends UsersEntryType>(type: T, { id: subject }: StoredUser, data: object): UsersEntry =>
      outboxEntry(type, { subject, correlationId: 'corr-1', now: new Date(NOW), data }) as unknown as UsersEntry,

    isAnnounced: async ({ eventId }: UsersEntry) => (await itemAt(`outbox#${eventId}`))?.['kind'] === 'outbox',

    /** The set of the ids of the active admins. */
    async setAdmins (...ids: string[]): Promise<void> {
      await dynamodb.send(new DeleteCommand({ TableName: table, Key: adminsKey }))
      if (ids.length > 0) await put({ ...adminsKey, kind: 'admins', ids: new Set(ids) })
    },
    admins: async () => [...(await itemAt('admins'))?.['ids'] as Set<string> | undefined ?? []].sort(),

    /** The writes of the transactions of a call, as kind and key. */
    async writesOf (call: () => Promise<unknown>): Promise<string[]> {
      const writes: string[] = []
      type Part = Record<string, { Key?: { userId: string }, Item?: { userId: string } }>
      const stop = intercept(dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ input, send }) => {
        for (const [[kind, { Key, Item }]] of (input as { TransactItems: Part[] }).TransactItems.map(part => Object.entries(part) as [[string, Part[string]]])) writes.push(`${kind} ${(Key ?? Item)!.userId}`)
        return await send()
      })
      await call().finally(stop)
      return writes
    }
  }
}
