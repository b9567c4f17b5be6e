import { METHODS, type IncomingHttpHeaders } from 'node:http'
import type { App } from '../app.ts'
import { CORRELATION_HEADER, correlationIdOf } from '../plugins/correlation.ts'
import { SECURITY_HEADERS } from '../plugins/security-headers.ts'
import { lifecycleHeaders, versionOfPath } from '../plugins/versions.ts'
import { basePathOf } from '../shared/base-path.ts'
import { Internal } from '../shared/errors.ts'
import { renderFault } from '../shared/problem.ts'
import { createAdapter } from './adapter.ts'
import { createDirect } from './direct.ts'
import { isAlb, isV2, type HttpEvent } from './http-event.ts'
import { withoutBasePath, withoutStage } from './request-path.ts'
import { headersOf, requestOf } from './request.ts'
import type { AppRequest, HttpAnswer, Serve } from './serve.ts'

/** Maximum bytes of an answer as JSON that Lambda passes on; behind a load balancer it is 1 MB. */
const MAX_ANSWER = 6_291_556
const MAX_ALB_ANSWER = 1_048_576

/** A target that a URL parser leaves as it is: all characters are among those of RFC 3986, and no apostrophe is in its query. */
const PLAIN = /^\/[\w\-.~!$&'()*+,;=:@%/]*(?:\?[\w\-.~!$&()*+,;=:@%/?]+)?$/

/** Passes HTTP events to Fastify, and returns its answers in the format of the event's source. */
export function createHttp (app: App, direct: Serve = createDirect(app)) {
  const publicPath = basePathOf(app.config.PUBLIC_URL)
  let adapter: Promise<Serve> | undefined

  /** The answer to an event that cannot be converted into a request. */
  function refuse (event: HttpEvent, status: number, code: string, detail: string): HttpAnswer {
    const path = withoutStage(event) as unknown
    const instance = typeof path === 'string' ? withoutBasePath(path, event, publicPath).slice(0, 256) : '/'
    const version = versionOfPath(instance)
    const correlationId = correlationIdOf({ headers: headersOf(event) as IncomingHttpHeaders })
    const { contentType, body } = renderFault({ status, code, detail, instance, correlationId }, version ?? 'v2')
    app.log.info({ correlationId, statusCode: status, code }, 'answered')
    return {
      statusCode: status,
      headers: {
        ...SECURITY_HEADERS,
        ...(version === 'v1' ? lifecycleHeaders(app.config) : {}),
        'content-type': contentType,
        [CORRELATION_HEADER]: correlationId,
        'cache-control': 'no-store'
      },
      body: JSON.stringify(body),
      isBase64Encoded: false
    }
  }

  function refuseInternal (event: HttpEvent): HttpAnswer {
    const { statusCode, code, message } = new Internal()
    return refuse(event, statusCode!, code, message)
  }

  async function answer (event: HttpEvent): Promise<HttpAnswer> {
    const method = isV2(event) ? event.requestContext.http.method : event.httpMethod
    if (!METHODS.includes(method) || method === 'CONNECT') return refuse(event, 501, 'METHOD_NOT_IMPLEMENTED', 'This method is not supported')
    let request: AppRequest
    try {
      request = requestOf(event, method, publicPath)
      // As ever, the parser's choice of what to encode is the adapter's.
      if (!PLAIN.test(request.target)) return await (await (adapter ??= createAdapter(app)))(request)
    } catch (error) {
      app.log.warn({ err: error }, 'an HTTP event that is not a valid request')
      return refuse(event, 400, 'REQUEST_MALFORMED', 'The request cannot be understood')
    }
    try {
      return await direct(request)
    } catch (error) {
      app.log.error({ err: error }, 'a request without an answer')
      return refuseInternal(event)
    }
  }

  return async function http (event: HttpEvent): Promise<HttpAnswer> {
    const result = await answer(event)
    // JSON escapes one byte as six at most, so shorter answers fit without counting.
    const limit = isAlb(event) ? MAX_ALB_ANSWER : MAX_ANSWER
    if (result.body.length > limit / 6 - 16_384 && Buffer.byteLength(JSON.stringify(result)) > limit) {
      app.log.error({ bytes: result.body.length }, 'the answer is too large for Lambda')
      return refuseInternal(event)
    }
    if (isAlb(event) && event.multiValueHeaders !== undefined) {
      // A target group that sends header lists reads only header lists.
      const lists = Object.fromEntries(Object.entries(result.headers ?? {}).map(([name, value]) => [name, [value]]))
      return { statusCode: result.statusCode, multiValueHeaders: { ...lists, ...result.multiValueHeaders }, body: result.body, isBase64Encoded: result.isBase64Encoded }
    }
    return result
  }
}
