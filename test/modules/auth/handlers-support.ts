import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { registerEvents } from '../../../src/modules/auth/events.ts'
import { createService } from '../../../src/modules/auth/service.ts'
import type { EmailMessage, ReceiptFollower } from '../../../src/modules/email/contract.ts'
import type { AccountNow, Follower, User, UsersEntry, UsersEntryType } from '../../../src/modules/users/contract.ts'
import type { OutboxEntry } from '../../../src/shared/outbox.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { counted, itemAt, repositoryAt } from './support.ts'

/** The handlers of this module by a clock that the test moves, on the real tables, without streams: what they hand to the e-mail module is kept. */
export async function startHandlers (t: Test) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines)
  const start = Date.now()
  const clock = { now: new Date(start) }
  const after = (ms: number) => new Date(start + ms)
  const repository = repositoryAt(app, clock)
  const limit = { fails: undefined as Error | undefined }
  const service = createService({
    repository,
    users: app.users,
    keys: app.keys,
    accessTokens: app.accessTokens,
    accessTokenTtl: 600,
    limitDomain: () => { if (limit.fails !== undefined) throw limit.fails },
    count: app.metrics.count,
    now: () => clock.now
  })

  const mails: (EmailMessage & { correlationId: string })[] = []
  const readmitted: [email: string, at: Date][] = []
  const forgotten: string[] = []
  const handlers = new Map<string, (entry: never) => Promise<void>>()
  const followers = new Map<string, Follower<never>[]>()
  const receiptFollowers: ReceiptFollower[] = []
  registerEvents({
    outbox: { on: (type, handler) => { handlers.set(type, handler as never) } },
    repository,
    service,
    users: { ...app.users, follow: (type, follower) => { followers.set(type, [...followers.get(type) ?? [], follower as never]) } },
    email: {
      enqueue: async (message, correlationId) => { mails.push({ ...message, correlationId }) },
      follow: follower => { receiptFollowers.push(follower) },
      readmit: async (email, at) => { readmitted.push([email, at]) },
      forget: async email => { forgotten.push(email) }
    },
    keys: app.keys,
    count: app.metrics.count,
    now: () => clock.now
  })

  let n = 0
  const newAddress = (name = 'user') => `${name}-${++n}@example.com`
  /** An account, written straight into the table. */
  async function newAccount (fields: Partial<User> = {}): Promise<User> {
    const at = new Date(start).toISOString()
    const user: User = { id: newId(), email: newAddress(), name: 'Ada', locale: 'de', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...fields }
    const { id: userId, ...item } = user
    await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { ...item, userId, kind: 'user' } }))
    await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item: { userId: `email#${user.email}`, kind: 'claim', ownerId: userId } }))
    return user
  }

  const none: AccountNow = { hasEnded: () => false, canUndo: () => false }

  return {
    app,
    repository,
    service,
    limit,
    mails,
    readmitted,
    forgotten,
    after,
    at: (ms: number) => { clock.now = after(ms) },
    newAddress,
    newAccount,
    handle: async (entry: OutboxEntry) => { await handlers.get(entry.type)!(entry as never) },
    /** Runs what this module does after a change of an account. */
    async follow<T extends UsersEntryType> (entry: Extract<UsersEntry, { type: T }>, present: User | undefined, now: Partial<AccountNow> = {}) {
      for (const follower of followers.get(entry.type) ?? []) await follower(entry as never, present, { ...none, ...now })
    },
    receipt: async (receipt: Parameters<ReceiptFollower>[0]) => { for (const follower of receiptFollowers) await follower(receipt, 'corr-receipt') },
    /** Mails to an address since the last look. */
    mailsTo: (email: string) => mails.splice(0).filter(mail => mail.email === email),
    challenge: async (challengeId: string) => await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge'),
    /** Starts a session by hand. */
    async startSession (userId: string, sid: string, createdAt: Date) {
      const challengeId = newId()
      await repository.openChallenge({ challengeId, userId, address: 'x', expiresAt: Math.floor(start / 1000) + 3600 })
      const time = createdAt.toISOString()
      await repository.startSession(challengeId, { userId, sid, currentHash: 'a', retired: [], familyKey: 'k', createdAt: time, lastUsedAt: time, expiresAt: Math.floor(start / 1000) + 3600 })
    },
    count: (metric: string) => counted(app, metric)
  }
}
