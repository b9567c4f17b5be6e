import { buildNaive } from '../naive.ts'

const app = await buildNaive({ logger: process.env['BENCH_LOG'] === 'true', ui: true })
await app.listen({ port: Number(process.env['PORT']), host: '127.0.0.1' })
