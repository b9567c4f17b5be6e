import type { FastifyInstance } from 'fastify'
import type { App } from '../app.ts'
import { HOP_BY_HOP, isBinary, type HttpAnswer, type Serve } from './serve.ts'

/**
 * Serves requests through @fastify/aws-lambda: those that `direct.ts` does not take, and, in the tests, all of them. The
 * package is loaded here, because most instances never need it.
 */
export async function createAdapter (app: App): Promise<Serve> {
  const { awsLambdaFastify } = await import('@fastify/aws-lambda')
  const proxy = awsLambdaFastify(app as unknown as FastifyInstance, {
    // The app does not read the event. The adapter drops client headers that use its own header names.
    decorateRequest: false,
    // The stage has been removed already, so a stage named v1 does not remove /v1.
    retainStage: true,
    enforceBase64: ({ headers }) => isBinary(headers as Record<string, string | undefined>)
  }) as (request: object) => Promise<HttpAnswer & { headers: object }>

  return async ({ method, target, headers, body, address, isV2 }) => {
    // In the format of a REST API's event, which has no version, and which the adapter passes on unchanged.
    const answer = await proxy({
      version: isV2 ? '2.0' : undefined,
      httpMethod: method,
      path: target,
      // Without a user agent, it would set one of its own.
      headers: { 'user-agent': undefined, ...headers },
      requestContext: { identity: { sourceIp: address } },
      body: body?.toString('base64') ?? null,
      isBase64Encoded: true
    })
    for (const name of HOP_BY_HOP) delete answer.headers[name]
    return answer
  }
}
