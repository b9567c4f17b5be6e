import fp from 'fastify-plugin'

/** CloudWatch namespace of the service's own metrics; alarms in `template.yaml` read the same one. */
export const METRICS_NAMESPACE = 'UserService'

/** Names of the metrics that are counted: each module declares its own, by declaration merging. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface MetricNames { OutboxResent: true, OutboxFailed: true, MailsQueued: true, MailsSent: true, MailsFailed: true }
export type Count = (metric: keyof MetricNames, value?: number) => void

declare module 'fastify' {
  interface FastifyInstance {
    metrics: { count: Count }
  }
}

/**
 * Business metrics as log lines in CloudWatch's embedded metric format: no call, no client, nothing to wait for. The
 * dimensions' values are the base fields of every log line.
 */
export default fp(async function metrics (app) {
  // Alarms are made of these lines: a quieter log must not silence them.
  const log = app.config.LOG_LEVEL === 'silent' ? app.log : app.log.child({}, { level: 'info' })
  app.decorate('metrics', { count (metric, value = 1) {
    log.info({
      _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: METRICS_NAMESPACE, Dimensions: [['service', 'environment']], Metrics: [{ Name: metric, Unit: 'Count' }] }] },
      [metric]: value
    })
  } })
}, { name: 'metrics', dependencies: ['config'] })
