import { buildPlain } from '../fastify.ts'

await buildPlain().listen({ port: Number(process.env['PORT']), host: '127.0.0.1' })
