import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyHttpOptions, type FastifyServerOptions } from 'fastify'
import type { Server } from 'node:http'
import { API } from './api.ts'
import auth from './modules/auth/index.ts'
import email from './modules/email/index.ts'
import health from './modules/health/index.ts'
import uploads from './modules/uploads/index.ts'
import users from './modules/users/index.ts'
import aws, { type Tracing } from './plugins/aws/index.ts'
import bodies from './plugins/bodies.ts'
import breakers from './plugins/breakers.ts'
import cache from './plugins/cache/index.ts'
import config, { type Config } from './plugins/config.ts'
import consumers from './plugins/consumers.ts'
import correlation, { correlationIdOf } from './plugins/correlation.ts'
import cors from './plugins/cors.ts'
import docs, { type DocsSource } from './plugins/docs/index.ts'
import dynamodb from './plugins/dynamodb.ts'
import errors from './plugins/errors/index.ts'
import eventBus from './plugins/event-bus.ts'
import { answerClientError, sendFrameworkError } from './plugins/errors/framework-errors.ts'
import idempotency from './plugins/idempotency/index.ts'
import jwt from './plugins/jwt.ts'
import keys from './plugins/keys/index.ts'
import { lazySchemas } from './plugins/lazy-schemas.ts'
import loadShedding, { type LoadLimits } from './plugins/load-shedding.ts'
import logging, { createLogger } from './plugins/logging.ts'
import metrics, { type MetricsOptions } from './plugins/metrics.ts'
import outbox from './plugins/outbox/index.ts'
import rateLimit from './plugins/rate-limit/index.ts'
import requestTarget, { routableTarget } from './plugins/request-target.ts'
import s3 from './plugins/s3.ts'
import securityHeaders from './plugins/security-headers.ts'
import spans, { type Tracer } from './plugins/spans.ts'
import sqs from './plugins/sqs.ts'
import versions from './plugins/versions.ts'
import { FORMATS } from './shared/formats.ts'

export interface AppOptions {
  config: Config
  /** the source of the API documents; see plugins/docs */
  docs: DocsSource
  logger?: FastifyBaseLogger
  /** further server options, such as the timeouts of the plain server */
  server?: FastifyHttpOptions<Server>
  /** records parts of traces; the plain server only */
  tracer?: Tracer | undefined
  /** traces the calls of AWS services for X-Ray; Lambda only */
  tracing?: Tracing | undefined
  /** where metrics go, besides the log lines of counts */
  metrics?: MetricsOptions | undefined
  /** beyond them, requests are rejected; the plain server only */
  loadLimits?: LoadLimits | undefined
  /** replaces modules/email when the module runs as its own service */
  email?: typeof email
}

/** How Ajv validates. Strict: it does not coerce, drop or fill in any value. Its optimizer is off: it took 4 % of a cold start (15
 * interleaved rounds), and validation is a few microseconds of a request either way. */
export const VALIDATION = { coerceTypes: false, removeAdditional: false, allErrors: true, discriminator: true, keywords: ['x-expected', 'x-detail'], formats: FORMATS, code: { optimize: false } } as const satisfies NonNullable<FastifyServerOptions['ajv']>['customOptions']

/** THE list of everything in this service: plugins first, then modules. */
export async function buildApp (options: AppOptions) {
  const app = Fastify({
    // v1's and v2's bodies are under 1 KB; batches of 100 users under 64.
    bodyLimit: 64 * 1024,
    genReqId: correlationIdOf,
    requestIdHeader: false,
    logController: new LogController({ requestIdLogLabel: 'correlationId', disableRequestLogging: true }),
    loggerInstance: options.logger ?? createLogger(options.config),
    rewriteUrl: routableTarget,
    frameworkErrors: sendFrameworkError,
    clientErrorHandler: answerClientError,
    // The schemas limit the length of ids, so that errors have the documented form.
    routerOptions: { maxParamLength: 16_384 },
    schemaController: { compilersFactory: lazySchemas },
    ajv: { customOptions: VALIDATION },
    ...options.server,
    // plugins/request-target answers a missing Host, in the common error format.
    http: { requireHostHeader: false, ...options.server?.http }
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(config, { config: options.config })
  // Before whatever else handles a request, so that all of it belongs to the request's span.
  await app.register(spans, { tracer: options.tracer })
  await app.register(aws, { tracing: options.tracing, spans: options.tracer === undefined ? undefined : app.spans })
  await app.register(keys)
  await app.register(correlation)
  await app.register(metrics, { metrics: options.metrics })
  await app.register(logging)
  await app.register(securityHeaders)
  await app.register(errors)
  await app.register(cors)
  await app.register(breakers)
  await app.register(loadShedding, { limits: options.loadLimits })
  await app.register(rateLimit)
  // After CORS and the rate limit, so that web pages can read these errors and they count towards the limit.
  await app.register(versions)
  await app.register(requestTarget)
  await app.register(bodies)
  await app.register(dynamodb)
  await app.register(consumers)
  await app.register(outbox)
  await app.register(sqs)
  await app.register(s3)
  await app.register(eventBus)
  await app.register(cache)
  await app.register(jwt)
  await app.register(idempotency)
  await app.register(docs, { ...options.docs, api: API })

  await app.register(users)
  await app.register(options.email ?? email)
  await app.register(auth)
  await app.register(uploads)
  await app.register(health)

  return app
}

export type App = Awaited<ReturnType<typeof buildApp>>
