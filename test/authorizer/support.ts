import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from '../engines.ts'

export interface KeyServer {
  url: string
  /** fetches so far */
  fetches: number
  /** what it answers next */
  answer: { status: number, body: string, headers?: Record<string, string> } | 'nothing'
}

/** Publishes a key set as the service does; a test may change what it answers. */
export async function startKeyServer (t: Test, keys: object[]): Promise<KeyServer> {
  const server = createServer((_request, response) => {
    keyServer.fetches++
    if (keyServer.answer === 'nothing') return
    const { status, body, headers } = keyServer.answer
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`,
    fetches: 0,
    answer: { status: 200, body: JSON.stringify({ keys }) }
  }
  return keyServer
}

export const METHOD_ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/GET/orders/42/lines'
export const STAGE_ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/*'

// The events of API Gateway, as its documentation shows them:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html

export const tokenEvent = (authorizationToken: string | undefined) => ({ type: 'TOKEN', methodArn: METHOD_ARN, authorizationToken })

export const requestEvent = (authorization: string | undefined, name = 'Authorization') => ({
  type: 'REQUEST',
  methodArn: METHOD_ARN,
  resource: '/orders/{id}/lines',
  path: '/orders/42/lines',
  httpMethod: 'GET',
  headers: { Host: 'api.example.com', ...(authorization === undefined ? {} : { [name]: authorization }) },
  multiValueHeaders: { Host: ['api.example.com'], ...(authorization === undefined ? {} : { [name]: [authorization] }) },
  queryStringParameters: null,
  pathParameters: { id: '42' },
  stageVariables: null,
  requestContext: { path: '/prod/orders/42/lines', stage: 'prod', httpMethod: 'GET', apiId: 'abcdef1234' }
})

export const httpApiEvent = (authorization: string | undefined) => ({
  version: '2.0',
  type: 'REQUEST',
  routeArn: 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/$default/GET/orders/42/lines',
  identitySource: authorization === undefined ? [] : [authorization],
  routeKey: 'GET /orders/{id}/lines',
  rawPath: '/orders/42/lines',
  rawQueryString: '',
  headers: { host: 'api.example.com', ...(authorization === undefined ? {} : { authorization }) },
  requestContext: { http: { method: 'GET', path: '/orders/42/lines' }, stage: '$default' },
  pathParameters: { id: '42' }
})
