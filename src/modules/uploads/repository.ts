import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { isErrorNamed } from '../../shared/aws-errors.ts'
import { HEAD_BYTES, TAIL_BYTES, type Sample } from './images.ts'
import type { ImageType } from './schemas.ts'

/** The start of an object, and what S3 knows about it. */
export interface Probe extends Omit<Sample, 'tail'> {
  contentType: string | undefined
  /** identifies this content of the object */
  etag: string
  correlationId: string | undefined
}

export interface FormOptions {
  key: string
  type: ImageType
  /** bytes */
  size: number
  /** seconds */
  expiresIn: number
  correlationId: string
}

export interface UploadsRepository {
  /** A signed form that S3 accepts for exactly this key, type and size. Makes no call. */
  form (options: FormOptions): Promise<{ url: string, fields: Record<string, string> }>
  /** A signed link to an object. Makes no call. */
  link (key: string, expiresIn: number): Promise<string>
  /** Reads the first bytes of an object; `undefined` when there is none. */
  probe (key: string): Promise<Probe | undefined>
  /** Reads the last bytes. Rejects when the object has changed since it was probed. */
  tail (key: string, probe: Probe): Promise<Uint8Array>
  /** Copies an object as it was probed, with this type and without the uploader's metadata. Safe to repeat. */
  publish (from: string, to: string, probe: Probe, type: ImageType): Promise<void>
  /** Safe to repeat. */
  remove (key: string): Promise<void>
  /** Deletes every object under a prefix that matches. Safe to repeat. */
  removeAll (prefix: string, isRemoved?: (key: string) => boolean): Promise<void>
}

export interface RepositoryOptions {
  client: () => Promise<S3Client>
  bucket: string
}

/** The metadata field of an upload with the correlation id of its request. */
const CORRELATION = 'correlation-id'

/** Seconds for which a browser may keep a picture: its link is valid for less, so this only bounds copies. */
const KEPT_FOR = 86_400

const bytesOf = async ({ Body }: GetObjectCommandOutput) => await Body!.transformToByteArray()

/** The only place that knows S3. Its commands are loaded with the first use. */
export function createRepository ({ client, bucket: Bucket }: RepositoryOptions): UploadsRepository {
  const s3 = async () => ({ ...await import('@aws-sdk/client-s3'), s3: await client() })

  async function remove (key: string) {
    const { s3: connection, DeleteObjectCommand } = await s3()
    await connection.send(new DeleteObjectCommand({ Bucket, Key: key }))
  }

  return {
    remove,

    async form ({ key, type, size, expiresIn, correlationId }) {
      const { createPresignedPost } = await import('@aws-sdk/s3-presigned-post')
      return await createPresignedPost(await client(), {
        Bucket,
        Key: key,
        // Each field is also a condition that allows exactly this value.
        Fields: { 'Content-Type': type, [`x-amz-meta-${CORRELATION}`]: correlationId },
        Conditions: [['content-length-range', size, size]],
        Expires: expiresIn
      })
    },

    async link (key, expiresIn) {
      const [{ GetObjectCommand }, { getSignedUrl }] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/s3-request-presigner')])
      return await getSignedUrl(await client(), new GetObjectCommand({ Bucket, Key: key }), { expiresIn })
    },

    async probe (key) {
      const { s3: connection, GetObjectCommand } = await s3()
      try {
        const object = await connection.send(new GetObjectCommand({ Bucket, Key: key, Range: `bytes=0-${HEAD_BYTES - 1}` }))
        const total = /\/(\d+)$/.exec(object.ContentRange ?? '')?.[1]
        return {
          head: await bytesOf(object),
          size: Number(total ?? object.ContentLength),
          contentType: object.ContentType,
          etag: object.ETag!,
          correlationId: object.Metadata?.[CORRELATION]
        }
      } catch (error) {
        if (isErrorNamed(error, 'NoSuchKey')) return undefined
        // An empty object has no first byte.
        if (isErrorNamed(error, 'InvalidRange')) return { head: new Uint8Array(), size: 0, contentType: undefined, etag: '', correlationId: undefined }
        throw error
      }
    },

    async tail (key, { size, etag }) {
      const { s3: connection, GetObjectCommand } = await s3()
      return await bytesOf(await connection.send(new GetObjectCommand({ Bucket, Key: key, Range: `bytes=${Math.max(0, size - TAIL_BYTES)}-${size - 1}`, IfMatch: etag })))
    },

    async publish (from, to, { etag }, type) {
      const { s3: connection, CopyObjectCommand } = await s3()
      await connection.send(new CopyObjectCommand({
        Bucket,
        Key: to,
        CopySource: `${Bucket}/${from}`,
        CopySourceIfMatch: etag,
        MetadataDirective: 'REPLACE',
        ContentType: type,
        ContentDisposition: 'inline',
        CacheControl: `private, max-age=${KEPT_FOR}, immutable`
      }))
    },

    async removeAll (prefix, isRemoved = () => true) {
      const { s3: connection, ListObjectsV2Command, DeleteObjectsCommand } = await s3()
      let ContinuationToken: string | undefined
      do {
        const page = await connection.send(new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken }))
        const keys = (page.Contents ?? []).map(({ Key }) => Key!).filter(isRemoved)
        if (keys.length > 0) {
          const { Errors = [] } = await connection.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map(Key => ({ Key })), Quiet: true } }))
          // DeleteObjects answers 200 even for keys that it did not delete.
          if (Errors.length > 0) throw new Error(`S3 did not delete ${Errors.length} objects: ${Errors[0]!.Code ?? 'no reason given'}`)
        }
        ContinuationToken = page.NextContinuationToken
      } while (ContinuationToken !== undefined)
    }
  }
}
