import type { HealthService } from './contract.ts'
import type { Report } from './probes.ts'

export interface ServiceOptions {
  probe: () => Promise<Report>
}

/** Decides by the probes' report. Requests need only DynamoDB; without the other dependencies mails are late and reads slower. */
export function createService ({ probe }: ServiceOptions): HealthService {
  let draining = false

  return {
    drain () { draining = true },

    async readiness () {
      const { checks, timestamp } = await probe()
      const ready = !draining && checks.dynamodb.status === 'healthy'
      const degraded = Object.values(checks).some(({ status }) => status === 'unhealthy')
      return { status: !ready ? 'unhealthy' : degraded ? 'degraded' : 'healthy', checks, timestamp }
    },

    async check () {
      const { checks: { dynamodb, sqs }, timestamp } = await probe()
      return { dynamodb: { status: dynamodb.status }, sqs: { status: sqs.status }, timestamp }
    }
  }
}
