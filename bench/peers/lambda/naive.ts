import awsLambdaFastify from '@fastify/aws-lambda'
import { buildNaive } from '../naive.ts'

const app = await buildNaive({ logger: true, ui: false })

export const handler = awsLambdaFastify(app)

await app.ready()
