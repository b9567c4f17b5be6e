import fp from 'fastify-plugin'

/** CloudWatch namespace of the service's own metrics; alarms in `template.yaml` read the same one. */
export const METRICS_NAMESPACE = 'UserService'

/**
 * The names of the metrics. Each module adds its own by declaration merging in its contract. All metrics are counts, with
 * the dimensions `service` and `environment`.
 */
export interface MetricNames {}

export interface Metrics {
  count (name: keyof MetricNames, value?: number): void
}

export type Count = Metrics['count']

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/**
 * Business metrics as log lines in CloudWatch's embedded metric format, which needs no client and no call. The values of
 * the dimensions are the base fields of every log line.
 */
export default fp(async function metrics (app) {
  // Alarms depend on these lines, so they are written at every log level.
  const log = app.config.LOG_LEVEL === 'silent' ? app.log : app.log.child({}, { level: 'info' })
  app.decorate('metrics', {
    count (name, value = 1) {
      log.info({
        _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: METRICS_NAMESPACE, Dimensions: [['service', 'environment']], Metrics: [{ Name: name, Unit: 'Count' }] }] },
        [name]: value
      })
    }
  })
}, { name: 'metrics', dependencies: ['config'] })
