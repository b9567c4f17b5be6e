import { DeleteCommand, GetCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { UsersEntry } from '../../../src/modules/users/contract.ts'
import { createDirectoryRepository } from '../../../src/modules/users/directory-repository.ts'
import { createEnrolmentRepository } from '../../../src/modules/users/enrolment-repository.ts'
import { createEnrolment } from '../../../src/modules/users/enrolment.ts'
import { createExport } from '../../../src/modules/users/export.ts'
import { claimsOf, claimItem, userItem } from '../../../src/modules/users/items.ts'
import { createRepository, expiryOf } from '../../../src/modules/users/repository.ts'
import { USERS_ENTRIES, type StoredUser } from '../../../src/modules/users/schemas.ts'
import { createService } from '../../../src/modules/users/service.ts'
import { createStore } from '../../../src/plugins/outbox/store.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp, type TestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { intercept } from '../../faults.ts'
import { waiting } from '../../outbox.ts'

export const TABLE = 'UsersTable'

/** The users service of an app, by a clock that the test moves. `counted` is what it has counted, in order. */
export function usersAt (app: TestApp, clock: { now: Date }, { adminEmails = [] }: { adminEmails?: string[] } = {}) {
  const now = () => clock.now
  const counted: string[] = []
  const { dynamodb, cache } = app
  const publicUrl = app.config.PUBLIC_URL
  const outbox = createStore(dynamodb, { table: TABLE, key: eventId => ({ userId: `outbox#${eventId}` }), entries: USERS_ENTRIES, expired: expiryOf })
  const repository = createRepository({ dynamodb, outbox, table: TABLE, publicUrl, now })
  const directory = createDirectoryRepository({ dynamodb, table: TABLE, publicUrl, now })
  const enrolments = createEnrolmentRepository({ dynamodb, outbox, table: TABLE, now })
  const count = (name: string) => { counted.push(name) }
  const { contribute, collect } = createExport({ directory, now })
  return {
    ...createService({ repository, cache, count, adminEmails, publicUrl, now, follow: app.users.follow, contribute, collect }),
    ...createEnrolment({ repository, enrolments, count }),
    repository,
    enrolments,
    counted
  }
}

/** The app on its engines, and what the tests of its users service do with it. */
export async function startUsers (t: Test, env: Record<string, string> = {}) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { env })
  let n = 0
  const address = (name = 'user') => `${name}-${++n}@example.com`

  /** Writes an account straight into the table, with its claims, as it is once its address is proved. */
  async function stored (changes: Partial<StoredUser> = {}): Promise<StoredUser> {
    const at = new Date(Date.now() - 60_000).toISOString()
    const user: StoredUser = { id: newId(), email: address(), name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 5, ...changes }
    const claims = [...claimsOf(user, 0)].map(([email, expiresAt]) => claimItem(email, user.id, expiresAt))
    for (const Item of [userItem(user), ...claims]) await app.dynamodb.send(new PutCommand({ TableName: TABLE, Item }))
    return user
  }
  /** An address that an account can have back for a day. */
  const former = (email: string, { until = Math.floor(Date.now() / 1000) + 86_400, ...more }: { until?: number, madeAdmin?: true } = {}) => ({ email, until, challengeId: newId(), ...more })
  const itemAt = async (userId: string) => (await app.dynamodb.send(new GetCommand({ TableName: TABLE, Key: { userId }, ConsistentRead: true }))).Item
  const items = async () => (await app.dynamodb.send(new ScanCommand({ TableName: TABLE, ConsistentRead: true }))).Items ?? []
  const ownerOf = async (email: string) => (await itemAt(`email#${email}`))?.['ownerId'] as string | undefined
  const remove = async (userId: string) => { await app.dynamodb.send(new DeleteCommand({ TableName: TABLE, Key: { userId } })) }
  /** What waits in the outbox about an account, oldest first. */
  const entriesOf = async (id: string) => (await waiting(app, TABLE)).filter(({ subject }) => subject === id) as UsersEntry[]

  /** Does something else just before the next transaction of the app is sent. @returns whether it came to that, and ends it */
  function before (command: string, act: () => Promise<unknown>, isWanted: (input: Record<string, unknown>) => boolean = () => true): () => boolean {
    let isDone = false
    const stop = intercept(app.dynamodb, { command, onTheLine: false }, async ({ input, send }) => {
      if (!isDone && isWanted(input)) {
        isDone = true
        await act()
      }
      return await send()
    })
    return () => { stop(); return isDone }
  }

  /** The calls of an act, each transaction with the number of its writes. */
  async function callsOf (act: () => Promise<unknown>): Promise<string[]> {
    const calls: string[] = []
    const stop = intercept(app.dynamodb, { onTheLine: false }, async ({ command, input, send }) => {
      const writes = input['TransactItems'] as unknown[] | undefined
      calls.push(command.replace('Command', '') + (writes === undefined ? '' : ` ${writes.length}`))
      return await send()
    })
    try {
      await act()
    } finally {
      stop()
    }
    return calls
  }

  return { engines, app, address, stored, itemAt, items, ownerOf, remove, entriesOf, former, before, callsOf }
}
