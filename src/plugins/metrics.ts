import fp from 'fastify-plugin'

/** CloudWatch namespace of the service's own metrics; alarms in `template.yaml` read the same one. */
export const METRICS_NAMESPACE = 'UserService'

/** Every metric the service counts. All are counts, with the dimensions `service` and `environment`. */
export const METRICS = ['RegistrationsRequested', 'UsersRegistered', 'UsersVerified', 'UsersDeleted', 'CodeFailures', 'SignIns',
  'RefreshReuse', 'MailsQueued', 'MailsSuppressed', 'MailsSent', 'MailsFailed', 'OutboxResent'] as const
export type Metric = typeof METRICS[number]

export type Count = (metric: Metric, value?: number) => void

declare module 'fastify' {
  interface FastifyInstance {
    count: Count
  }
}

/**
 * Business metrics as log lines in CloudWatch's embedded metric format: no call, no client, nothing to wait for. The
 * dimensions' values are the base fields of every log line.
 */
export default fp(async function metrics (app) {
  // Alarms are made of these lines: a quieter log must not silence them.
  const log = app.config.LOG_LEVEL === 'silent' ? app.log : app.log.child({}, { level: 'info' })
  app.decorate('count', (metric, value = 1) => {
    log.info({
      _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: METRICS_NAMESPACE, Dimensions: [['service', 'environment']], Metrics: [{ Name: metric, Unit: 'Count' }] }] },
      [metric]: value
    })
  })
}, { name: 'metrics', dependencies: ['config'] })
