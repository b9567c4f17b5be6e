import fp from 'fastify-plugin'
import { pino, type DestinationStream, type Logger } from 'pino'
import type { Config } from './config.ts'
import { createLogOutput } from './log-output.ts'
import type {} from './metrics.ts'

// The only fields of an error that are logged. Other properties of SDK and SMTP errors contain requests, addresses and
// answers.
function errorFields (error: Error & { code?: unknown, statusCode?: unknown, $metadata?: { requestId?: string, attempts?: number } }) {
  const { name, code, statusCode, message, stack, $metadata } = error
  return { type: name, code, statusCode, message, stack, awsRequestId: $metadata?.requestId, attempts: $metadata?.attempts }
}

/**
 * Structured logs to standard output, written synchronously: a transport's worker would lose its last lines when Lambda
 * freezes the process.
 */
export function createLogger (config: Config, destination: DestinationStream = pino.destination({ dest: 1, sync: true })): Logger {
  return pino({
    level: config.LOG_LEVEL,
    base: { service: config.SERVICE_NAME, environment: config.STAGE },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    serializers: {
      err: errorFields,
      // Fastify adds whole requests and responses to some of its own lines; only these fields of them are logged.
      req: request => ({ method: request.method, route: request.routeOptions?.url }),
      res: reply => ({ statusCode: reply.statusCode })
    }
  }, destination)
}

/**
 * The logger of a server, which does not wait for the reader of its log. Not for Lambda, which freezes the process after an
 * answer.
 */
export function createServerLogger (config: Config): Logger {
  // A pipe or socket no longer blocks once Node has opened it as process.stdout.
  const output = createLogOutput(process.stdout.fd)
  const logger = createLogger(config, output)
  output.onDropped = lines => logger.warn({ lines }, 'lines of the log are missing here: its reader was too slow')
  return logger
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Fields of the line of the answer, which say whose request it was where no access token does: ids and words, no personal data. */
    audit: Record<string, string>
  }
}

/** Logs one line for every answer, with the route's pattern and never the URL, which may contain personal data. */
export default fp(async function logging (app) {
  app.decorateRequest('audit')
  app.addHook('onRequest', (request, _reply, done) => {
    request.audit = {}
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info({
      method: request.method,
      route: request.routeOptions.url,
      statusCode: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      userId: request.user?.userId,
      ...request.audit,
      ...app.metrics.answered(request, reply)
    }, 'answered')
    done()
  })
}, { name: 'logging', dependencies: ['metrics'] })
