import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { LOCAL_AWS } from '../../../local/aws.ts'
import type { User } from '../../../src/modules/users/contract.ts'
import type { Upload } from '../../../src/modules/uploads/contract.ts'
import type { TestApp } from '../../app.ts'
import type { Engines, Test } from '../../engines.ts'

export type Caller = Pick<{ accessToken: string, user: User }, 'accessToken' | 'user'>

const bearer = ({ accessToken }: Pick<Caller, 'accessToken'>) => ({ authorization: `Bearer ${accessToken}` })

/** What a client does with avatars, and a look into the bucket behind it. */
export function avatarsOf (t: Test, app: TestApp, engines: Engines) {
  const s3 = new S3Client({ ...LOCAL_AWS, endpoint: engines.s3Endpoint, forcePathStyle: true })
  t.teardown(() => s3.destroy())
  const Bucket = engines.env['UPLOADS_BUCKET']!

  const ask = async (caller: Pick<Caller, 'accessToken'>, payload: object) => await app.inject({ method: 'POST', url: '/v2/users/me/avatar', headers: bearer(caller), payload })

  return {
    ask,

    /** The form for a file of this type and size. */
    async form (caller: Caller, file: { length: number }, contentType = 'image/png'): Promise<Upload> {
      const answer = await ask(caller, { contentType, size: file.length })
      if (answer.statusCode !== 201) throw new Error(`avatars: ${answer.statusCode} ${answer.body}`)
      return answer.json<Upload>()
    },

    /** Sends the form as a browser does; resolves to S3's status. */
    async send ({ url, fields }: Upload, file: Uint8Array, changes: Record<string, string> = {}): Promise<number> {
      const body = new FormData()
      for (const [name, value] of Object.entries({ ...fields, ...changes })) body.append(name, value)
      body.append('file', new Blob([new Uint8Array(file)]), 'me.png')
      return (await fetch(url, { method: 'POST', body })).status
    },

    remove: async (caller: Pick<Caller, 'accessToken'>) => await app.inject({ method: 'DELETE', url: '/v2/users/me/avatar', headers: bearer(caller) }),
    me: async (caller: Pick<Caller, 'accessToken'>) => (await app.inject({ method: 'GET', url: '/v2/users/me', headers: bearer(caller) })).json<User>(),
    show: async (avatarUrl: string) => await app.inject({ method: 'GET', url: new URL(avatarUrl).pathname }),

    /** The keys of an account's objects. */
    async keysOf (userId: string): Promise<string[]> {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }))
      return Contents.map(({ Key }) => Key!).filter(key => key.includes(userId))
    },
    head: async (Key: string) => await s3.send(new HeadObjectCommand({ Bucket, Key })),
    bytes: async (Key: string) => Buffer.from(await (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body!.transformToByteArray()),
    put: async (Key: string, Body: Uint8Array, ContentType = 'image/png') => { await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentType })) },

    /** Hands the app a notification, as S3's rule makes it. */
    async notify (key: string, to: Pick<TestApp, 'consumers'> = app): Promise<unknown> {
      return await to.consumers.deliver({ Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Post', eventTime: new Date().toISOString(), s3: { bucket: { name: Bucket }, object: { key, size: 1 } } }] })
    }
  }
}
