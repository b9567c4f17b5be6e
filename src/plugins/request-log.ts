import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify'

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** The logger of one request: that of the app, with the fields of the request before those of each line. */
interface RequestLog {
  logger: FastifyBaseLogger
  fields: object
}

/** Writes a line. The fields are merged here, and not into a logger of the request: most requests write one line. */
function write ({ logger, fields }: RequestLog, level: Level, first: unknown, rest: unknown[]): void {
  if (typeof first === 'string') logger[level](fields, first, ...rest)
  else logger[level]({ ...fields, ...first instanceof Error ? { err: first } : first as object }, ...rest as [string?])
}

const methods = Object.fromEntries((['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const).map(level => [
  level,
  function (this: RequestLog, first: unknown, ...rest: unknown[]) { write(this, level, first, rest) }
]))

const prototype = Object.defineProperty({
  ...methods,
  silent () {},
  child (this: RequestLog, bindings: object, options?: object) { return this.logger.child({ ...this.fields, ...bindings }, options) }
}, 'level', { get (this: RequestLog) { return this.logger.level } })

/**
 * For Fastify's `childLoggerFactory`: request loggers that cost nothing until a line is written. pino's own child makes the
 * text of its fields at once, and for a route with a level of its own, all methods anew.
 */
export function createRequestLogs (): NonNullable<FastifyServerOptions['childLoggerFactory']> {
  const ofLevels = new Map<string, FastifyBaseLogger>()
  return (logger, fields, { level }) => {
    let own = logger as FastifyBaseLogger
    if (level !== undefined) {
      own = ofLevels.get(level) ?? logger.child({}, { level })
      ofLevels.set(level, own)
    }
    return Object.assign(Object.create(prototype) as FastifyBaseLogger, { logger: own, fields })
  }
}
