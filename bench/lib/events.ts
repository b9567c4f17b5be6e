import type { APIGatewayProxyEvent } from 'aws-lambda'
import { randomUUID } from 'node:crypto'
import { restEvent as localRestEvent } from '../../local/rest-event.ts'

export interface Call {
  method: 'GET' | 'POST'
  path: string
  body?: object
  headers?: Record<string, string>
}

/** A request as API Gateway's REST API passes it on, with the headers that a browser behind CloudFront sends. */
export function restEvent ({ headers: given = {}, ...call }: Call): APIGatewayProxyEvent {
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'gzip, deflate, br',
    'accept-language': 'en-GB,en;q=0.9',
    host: 'abcdefghij.execute-api.us-east-1.amazonaws.com',
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0',
    'x-amzn-trace-id': 'Root=1-69000000-000000000000000000000000',
    'x-correlation-id': randomUUID(),
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
    ...given
  }
  return localRestEvent({
    ...call,
    headers,
    context: {
      accountId: '000000000000',
      apiId: 'abcdefghij',
      authorizer: null,
      domainName: 'abcdefghij.execute-api.us-east-1.amazonaws.com',
      identity: { sourceIp: '203.0.113.7', userAgent: headers['user-agent'] },
      path: `/dev${call.path}`,
      requestId: randomUUID(),
      requestTimeEpoch: 1_790_000_000_000,
      resourceId: 'abcdef',
      resourcePath: '/{proxy+}',
      stage: 'dev'
    }
  })
}

/** The second parameter of a handler. */
export const lambdaContext = () => ({
  functionName: 'bench',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:bench',
  memoryLimitInMB: '512',
  awsRequestId: randomUUID(),
  logGroupName: '/aws/lambda/bench',
  logStreamName: '2026/01/01/[$LATEST]0',
  callbackWaitsForEmptyEventLoop: true,
  getRemainingTimeInMillis: () => 10_000
})
