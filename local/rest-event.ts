import type { APIGatewayProxyEvent } from 'aws-lambda'

export interface RestCall {
  method: string
  path: string
  body?: object
  headers?: Record<string, string>
  /** more of what API Gateway knows of the request */
  context?: object
}

/** A request as API Gateway's REST API passes it to a function. */
export function restEvent ({ method, path, body, headers: given = {}, context = {} }: RestCall): APIGatewayProxyEvent {
  const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...given }
  return {
    resource: '/{proxy+}',
    path,
    httpMethod: method,
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
    requestContext: { httpMethod: method, path, stage: 'live', protocol: 'HTTP/1.1', identity: { sourceIp: '192.0.2.1' }, ...context } as unknown as APIGatewayProxyEvent['requestContext'],
    body: body === undefined ? null : JSON.stringify(body),
    isBase64Encoded: false
  }
}
