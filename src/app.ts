import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyHttpOptions } from 'fastify'
import type { Server } from 'node:http'
import { API } from './api.ts'
import auth from './modules/auth/index.ts'
import email from './modules/email/index.ts'
import health from './modules/health/index.ts'
import users from './modules/users/index.ts'
import aws from './plugins/aws/index.ts'
import bodies from './plugins/bodies.ts'
import cache from './plugins/cache.ts'
import config, { type Config } from './plugins/config.ts'
import consumers from './plugins/consumers.ts'
import correlation, { correlationIdOf } from './plugins/correlation.ts'
import cors from './plugins/cors.ts'
import docs, { type DocsSource } from './plugins/docs/index.ts'
import dynamodb from './plugins/dynamodb.ts'
import errors from './plugins/errors/index.ts'
import eventBus from './plugins/event-bus.ts'
import { answerClientError, sendFrameworkError } from './plugins/errors/framework-errors.ts'
import jwt from './plugins/jwt.ts'
import keys from './plugins/keys/index.ts'
import logging, { createLogger } from './plugins/logging.ts'
import metrics from './plugins/metrics.ts'
import outbox from './plugins/outbox/index.ts'
import rateLimit from './plugins/rate-limit/index.ts'
import requestTarget, { routableTarget } from './plugins/request-target.ts'
import securityHeaders from './plugins/security-headers.ts'
import sqs from './plugins/sqs.ts'
import versions from './plugins/versions.ts'

export interface AppOptions {
  config: Config
  /** where the API documents come from; see plugins/docs */
  docs: DocsSource
  logger?: FastifyBaseLogger
  /** further options of the server: time-outs of the plain one, say */
  server?: FastifyHttpOptions<Server>
  /** stands in for modules/email where it has been extracted */
  email?: typeof email
}

/** THE list: what this service is made of, plugins first, then modules. */
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
    // How long an id may be is the schemas' to say: they answer as the API documents say.
    routerOptions: { maxParamLength: 16_384 },
    // Strict: nothing is coerced, dropped or filled in behind the client's back. Ajv's optimizer is off: it took 4 % of a
    // cold start (15 interleaved rounds), and validation is a few microseconds of a request either way.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true, discriminator: true, keywords: ['x-expected'], code: { optimize: false } } },
    ...options.server,
    // A missing Host is answered by plugins/request-target, in the shape of everything else.
    http: { requireHostHeader: false, ...options.server?.http }
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(config, { config: options.config })
  await app.register(aws)
  await app.register(keys)
  await app.register(correlation)
  await app.register(logging)
  await app.register(securityHeaders)
  await app.register(errors)
  await app.register(cors)
  await app.register(metrics)
  await app.register(rateLimit)
  // Once CORS and the limit had their turn: what these refuse can be read by a page, and is counted.
  await app.register(versions)
  await app.register(requestTarget)
  await app.register(bodies)
  await app.register(dynamodb)
  await app.register(consumers)
  await app.register(outbox)
  await app.register(sqs)
  await app.register(eventBus)
  await app.register(cache)
  await app.register(jwt)
  await app.register(docs, { ...options.docs, api: API })

  await app.register(users)
  await app.register(options.email ?? email)
  await app.register(auth)
  await app.register(health)

  return app
}

export type App = Awaited<ReturnType<typeof buildApp>>
