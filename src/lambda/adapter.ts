import awsLambdaFastify from '@fastify/aws-lambda'
import type { FastifyInstance } from 'fastify'
import type { App } from '../app.ts'
import { isBinary, type HttpAnswer, type Serve } from './serve.ts'

/** Serves requests through @fastify/aws-lambda: those that `direct.ts` does not take, and, in the tests, all of them. */
export function createAdapter (app: App): Serve {
  const proxy = awsLambdaFastify(app as unknown as FastifyInstance, {
    // The app does not read the event. The adapter drops client headers that use its own header names.
    decorateRequest: false,
    // The stage has been removed already, so a stage named v1 does not remove /v1.
    retainStage: true,
    enforceBase64: ({ headers }) => isBinary(headers as Record<string, string | undefined>)
  }) as (request: object) => Promise<HttpAnswer>

  // In the format of a REST API's event, which the adapter passes on unchanged. Without the header that it looks for,
  // it would set a user agent of its own.
  return ({ method, target, headers, body, address, isV2 }) => proxy({
    version: isV2 ? '2.0' : '1.0',
    httpMethod: method,
    path: target,
    headers: { 'user-agent': undefined, ...headers },
    requestContext: { identity: { sourceIp: address } },
    body: body?.toString('base64') ?? null,
    isBase64Encoded: true
  })
}
