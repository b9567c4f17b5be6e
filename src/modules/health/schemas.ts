import { Type } from '@sinclair/typebox'
import { Timestamp as At } from '../../shared/ids.ts'

const Healthy = Type.Union([Type.Literal('healthy'), Type.Literal('unhealthy')])
const Timestamp = Type.Unsafe<string>({ ...At, description: 'When the dependencies were checked; a report is reused for one second' })

const Check = Type.Object({
  status: Type.Union([Type.Literal('healthy'), Type.Literal('unhealthy'), Type.Literal('disabled')]),
  latencyMs: Type.Number({ minimum: 0, examples: [3] }),
  breaker: Type.Optional(Type.Union([Type.Literal('closed'), Type.Literal('open'), Type.Literal('half-open')], {
    description: 'Circuit breaker of this instance: `open` while requests do not wait for this dependency, because it did not answer; `half-open` while one call tries it again'
  }))
}, { title: 'Check' })

export const Liveness = Type.Object({ status: Type.Literal('healthy') }, { title: 'Liveness' })

export const Readiness = Type.Object({
  status: Type.Union([Type.Literal('healthy'), Type.Literal('degraded'), Type.Literal('unhealthy')]),
  checks: Type.Object({
    dynamodb: Check,
    sqs: Check,
    redis: Check,
    mail: Type.Optional({ ...Check, description: 'Only while the mail server does not answer this instance' })
  }),
  timestamp: Timestamp,
  version: Type.String({ maxLength: 64, pattern: '^\\d+\\.\\d+\\.\\d+', description: 'Version of the running service', examples: ['1.0.0'] })
}, { title: 'Readiness' })

const Status = Type.Object({ status: Healthy })

/** The article's health answer. It has no envelope, unlike the other v1 answers. */
export const HealthV1 = Type.Object({ dynamodb: Status, sqs: Status, timestamp: Timestamp }, { title: 'HealthV1' })
