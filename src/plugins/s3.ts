import type { S3Client } from '@aws-sdk/client-s3'
import fp from 'fastify-plugin'
import type {} from './aws/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    s3: {
      /** The process's one S3 client. The first use loads it. */
      client (): Promise<S3Client>
    }
  }
}

/** Milliseconds for an attempt. S3 copies an object of a few megabytes in tens to hundreds of milliseconds. */
const REQUEST_TIMEOUT = 2000

/**
 * S3, loaded with the first use: a cold start needs it almost never, and its code is a tenth of the artifact.
 * See docs/adr/0080-avatars-are-uploaded-to-s3.md.
 */
export default fp(async function s3 (app) {
  const { AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 } = app.config
  let opening: Promise<S3Client> | undefined

  async function open (): Promise<S3Client> {
    const { S3Client } = await import('@aws-sdk/client-s3')
    return app.aws.traced(new S3Client({
      ...app.aws.clientOptions({ endpoint: AWS_ENDPOINT_URL_S3, requestTimeout: REQUEST_TIMEOUT }),
      // An engine at an address has no host name for each bucket.
      forcePathStyle: (AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL) !== undefined,
      // Checksums only where S3 requires them: links with a checksum mode would not be simple GETs.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED'
    }))
  }

  app.decorate('s3', {
    async client () {
      opening ??= open()
      return await opening
    }
  })
  app.addHook('onClose', async () => { (await opening)?.destroy() })
}, { name: 's3', dependencies: ['config', 'aws'] })
