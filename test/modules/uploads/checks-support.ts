import { CopyObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import { avatarIdOf, avatarKey, incomingKey, pathOf } from '../../../src/modules/uploads/keys.ts'
import type { ImageType } from '../../../src/modules/uploads/schemas.ts'
import { userItem } from '../../../src/modules/users/items.ts'
import type { StoredUser } from '../../../src/modules/users/schemas.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { intercept } from '../../faults.ts'

export const NOW = 1_795_348_800_000

/** The app, accounts that are written straight into the table, and objects that are put straight into the bucket. */
export async function startChecks (t: Test) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'debug' } })
  const s3 = await app.s3.client()
  const Bucket = engines.env['UPLOADS_BUCKET']!
  const put = async (Key: string, Body: Buffer, ContentType = 'image/png', Metadata = {}) => { await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentType, Metadata })) }

  return {
    app,
    put,

    async newUser (changes: Partial<StoredUser> = {}): Promise<StoredUser> {
      const id = randomUUID()
      const at = new Date(NOW).toISOString()
      const user: StoredUser = { id, email: `${id}@example.com`, name: 'Ada', locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 1, ...changes }
      await app.dynamodb.send(new PutCommand({ TableName: app.config.USERS_TABLE, Item: userItem(user) }))
      return user
    },

    /** An upload of a file under the key of its request. */
    async upload ({ id: userId }: StoredUser, file: Buffer, { order = NOW, type = 'image/png' as ImageType, size = file.length, contentType = type as string, metadata = {} } = {}) {
      const avatarId = avatarIdOf(order, randomUUID())
      const key = incomingKey({ userId, avatarId, type, size })
      await put(key, file, contentType, metadata)
      return { key, path: pathOf(userId, avatarId), copy: avatarKey(userId, avatarId) }
    },

    keysOf: async ({ id }: StoredUser) => ((await s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key }) => Key!).filter(key => key.includes(id)),

    /** Hands the app what the bucket announces. */
    announce: async (...events: { key: string, eventName?: string }[]) => await app.consumers.deliver({
      Records: events.map(({ key, eventName = 'ObjectCreated:Post' }) => ({ eventSource: 'aws:s3', eventName, eventTime: new Date(NOW).toISOString(), s3: { bucket: { name: Bucket }, object: { key, size: 1 } } }))
    }),

    /** How often a call of S3 is made; of copies without it. */
    async callsOf (act: () => Promise<unknown>, command = CopyObjectCommand.name): Promise<number> {
      let calls = 0
      const stop = intercept(s3, { command, onTheLine: false }, async ({ send }) => { calls++; return await send() })
      await act().finally(stop)
      return calls
    },
    failing: (command: string) => intercept(s3, { command, onTheLine: false }, async () => { throw new Error('S3 is down') }),

    /** What is logged and counted meanwhile. */
    async logged (act: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
      const before = app.logLines.length
      await act()
      return app.logLines.slice(before)
    }
  }
}
