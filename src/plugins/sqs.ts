import { SQSClient } from '@aws-sdk/client-sqs'
import fp from 'fastify-plugin'
import type {} from './aws/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    sqs: SQSClient
  }
}

/** The process's one SQS client. */
export default fp(async function sqs (app) {
  const client = app.aws.traced(new SQSClient(app.aws.clientOptions({ endpoint: app.config.AWS_ENDPOINT_URL_SQS })))
  app.decorate('sqs', client)
  app.addHook('onClose', async () => { client.destroy() })
}, { name: 'sqs', dependencies: ['config', 'aws'] })
