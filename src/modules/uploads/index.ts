import fp from 'fastify-plugin'
import type {} from './contract.ts'
import { registerEvents } from './events.ts'
import { createRepository } from './repository.ts'
import routesV2 from './routes.v2.ts'
import { createService } from './service.ts'
import { createWorker } from './worker.ts'

/** Avatars: uploaded straight to S3, checked, then shown. Without a bucket its routes answer that they are disabled. */
export default fp(async function uploads (app) {
  app.apiDocs.tag({ name: 'avatars', description: 'Pictures of users' })
  const { config: { UPLOADS_BUCKET }, log, metrics: { count }, s3, users } = app
  const repository = UPLOADS_BUCKET === undefined ? undefined : createRepository({ client: s3.client, bucket: UPLOADS_BUCKET })
  app.decorate('uploads', createService({ repository, users, now: () => new Date() }))
  if (repository !== undefined && UPLOADS_BUCKET !== undefined) {
    registerEvents({ repository, users })
    app.consumers.add({ bucket: UPLOADS_BUCKET }, createWorker({ repository, users, count, log }).handleBatch)
  }
  await app.register(routesV2)
}, { name: 'uploads', dependencies: ['users', 'config', 'consumers', 's3', 'jwt', 'idempotency', 'rate-limit', 'metrics', 'docs'] })
