import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** CloudWatch namespace of the service's own metrics; alarms in `template.yaml` read the same one. */
export const METRICS_NAMESPACE = 'UserService'

/**
 * The names of the metrics, the same in CloudWatch and at /metrics. Each module adds its own by declaration merging in its
 * contract, with a comment of one line, which /metrics shows, and the kind:
 * - `true`: a count of what is rare enough for a log line of its own
 * - `'frequent'`: a count of what happens in most requests
 * - `'seconds'`: a duration
 * - `'state'`: 1 or 0, for each of several dependencies
 */
export interface MetricNames {
  /** time from the arrival of a request to its answer */
  RequestSeconds: 'seconds'
}

type NameOf<Kind> = { [Name in keyof MetricNames]: MetricNames[Name] extends Kind ? Name : never }[keyof MetricNames]
type Labels = Record<string, string>

export interface Metrics {
  count (name: NameOf<true>, value?: number): void
  /** In CloudWatch the count comes with the line of the next answer. */
  countOften (name: NameOf<'frequent'>): void
  /** The labels are fields of the log line, and no dimensions in CloudWatch, where each combination is paid for. */
  measure (name: NameOf<'seconds'>, seconds: number, labels: Labels): void
  /** In CloudWatch a state is a line when it changes. It starts as 0. */
  show (name: NameOf<'state'>, dependency: string, value: 0 | 1): void
  /** Measures an answer. Returns the metrics that its log line carries, if any. */
  answered (request: FastifyRequest, reply: FastifyReply): object | undefined
}

export type Count = Metrics['count']

/** Keeps the values until they are read; see server/prometheus.ts. */
export interface Scraped {
  count (name: string, value: number): void
  observe (name: string, seconds: number, labels: Labels): void
  show (name: string, value: number, labels: Labels): void
}

/** Where metrics go besides the log lines of counts. Without either, requests are not measured. */
export interface MetricsOptions {
  /** the plain server's */
  scraped?: Scraped | undefined
  /** the lines of answers carry metrics: on Lambda, whose log is read by CloudWatch */
  inAnswers?: boolean | undefined
}

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/**
 * Fields of a log line from which CloudWatch takes metrics: the embedded metric format, which needs no client and no call.
 * Names of durations end in their unit.
 */
function embedded (values: Record<string, number>, dimensions: Labels = {}): object {
  return {
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [{
        Namespace: METRICS_NAMESPACE,
        Dimensions: [['service', 'environment', ...Object.keys(dimensions)]],
        Metrics: Object.keys(values).map(Name => ({ Name, Unit: Name.endsWith('Seconds') ? 'Seconds' : 'Count' }))
      }]
    },
    ...dimensions,
    ...values
  }
}

/** What a request is measured under: route patterns and classes, never an id. The method of an unknown path is the client's choice. */
function labelsOf (request: FastifyRequest, { statusCode }: FastifyReply): Labels {
  const { method, routeOptions: { url } } = request
  const status = `${Math.floor(statusCode / 100)}xx`
  return url === undefined ? { method: 'none', route: 'none', status } : { method, route: url, status }
}

/**
 * The service's metrics, presented as log lines for CloudWatch and, on a plain server, for a scraper; see
 * docs/observability.md. The values of the dimensions are the base fields of every log line.
 */
export default fp<{ metrics?: MetricsOptions | undefined }>(async function metrics (app, { metrics: { scraped, inAnswers = false } = {} }) {
  // Alarms depend on these lines, so they are written at every log level.
  const log = app.config.LOG_LEVEL === 'silent' ? app.log : app.log.child({}, { level: 'info' })
  /** frequent counts since the last answer */
  let counted: Record<string, number> = {}
  /** the last value of each state, by name and dependency */
  const shown = new Map<string, number>()

  app.decorate('metrics', {
    count (name, value = 1) {
      log.info(embedded({ [name]: value }))
      scraped?.count(name, value)
    },
    countOften (name) {
      scraped?.count(name, 1)
      if (inAnswers) counted[name] = (counted[name] ?? 0) + 1
    },
    measure (name, seconds, labels) {
      log.info({ ...labels, ...embedded({ [name]: seconds }) })
      scraped?.observe(name, seconds, labels)
    },
    show (name, dependency, value) {
      const key = `${name} ${dependency}`
      if (value !== (shown.get(key) ?? 0)) log.info(embedded({ [name]: value }, { dependency }))
      shown.set(key, value)
      scraped?.show(name, value, { dependency })
    },
    answered (request, reply) {
      const seconds = Math.round(reply.elapsedTime * 10) / 10_000
      scraped?.observe('RequestSeconds', seconds, labelsOf(request, reply))
      if (!inAnswers) return undefined
      const values = { RequestSeconds: seconds, ...counted }
      counted = {}
      return embedded(values)
    }
  })
}, { name: 'metrics', dependencies: ['config'] })
