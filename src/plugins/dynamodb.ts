import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import fp from 'fastify-plugin'
import { isOutage } from '../shared/aws-errors.ts'
import type {} from './aws/index.ts'

declare module './metrics.ts' {
  interface MetricNames {
    /** each time an instance stops asking DynamoDB, which did not answer: about once a second while it is used */
    DatabaseUnavailable: true
    /** each time DynamoDB answers an instance again after DatabaseUnavailable */
    DatabaseRestored: true
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    dynamodb: DynamoDBDocumentClient
  }
}

/**
 * The process's one DynamoDB document client. Its calls go through a circuit breaker, so that requests get their 503 at once
 * while DynamoDB does not answer, instead of each waiting for three attempts.
 */
export default fp(async function dynamodb (app) {
  const client = app.aws.traced(new DynamoDBClient(app.aws.clientOptions({ endpoint: app.config.AWS_ENDPOINT_URL_DYNAMODB })))
  app.decorate('dynamodb', DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }))
  const { count } = app.metrics
  const breaker = app.breakers.add('dynamodb', {
    isFailure: isOutage,
    onOpen: () => count('DatabaseUnavailable'),
    onClose: () => count('DatabaseRestored')
  })
  // Around the SDK's retries: a call that succeeds with its second attempt is no failure.
  client.middlewareStack.add(next => args => breaker.run(() => next(args)), { step: 'initialize', name: 'breaker' })
  app.addHook('onClose', async () => { client.destroy() })
}, { name: 'dynamodb', dependencies: ['config', 'metrics', 'breakers', 'aws'] })
