import awsLambdaFastify from '@fastify/aws-lambda'
import { buildPlain } from '../fastify.ts'

const app = buildPlain()

export const handler = awsLambdaFastify(app)

await app.ready()
