import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import fp from 'fastify-plugin'
import type {} from './aws/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dynamodb: DynamoDBDocumentClient
  }
}

/** The process's one DynamoDB document client. */
export default fp(async function dynamodb (app) {
  const client = app.aws.traced(new DynamoDBClient(app.aws.clientOptions({ endpoint: app.config.AWS_ENDPOINT_URL_DYNAMODB })))
  app.decorate('dynamodb', DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }))
  app.addHook('onClose', async () => { client.destroy() })
}, { name: 'dynamodb', dependencies: ['config', 'aws'] })
