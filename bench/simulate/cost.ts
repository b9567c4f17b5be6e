import { PRICES } from '../lib/prices.ts'
import { ASSUMED, SETTINGS } from './assumptions.ts'
import type { Usage } from './usage.ts'

/** Dollars a month at so many requests a second, by part. */
export function costOf (usage: Usage, rate: number): Record<string, number> {
  const month = rate * ASSUMED.secondsPerMonth
  const writes = Object.values(usage.writes).reduce((sum, units) => sum + units, 0)
  const invocations = 1 + usage.entries / SETTINGS.streamBatch + usage.mails / SETTINGS.mailBatch
  return {
    gateway: month * PRICES.restRequest,
    lambda: month * (invocations * PRICES.invocation + usage.busy * ASSUMED.memoryGb * PRICES.gbSecond),
    dynamodb: month * (writes * PRICES.writeUnit + usage.readUnits * PRICES.readUnit),
    mails: month * usage.mails * PRICES.mail,
    other: month * (usage.messages * 3 * PRICES.sqsCall + usage.events * PRICES.event + ASSUMED.logBytes / 1e9 * PRICES.logGb)
  }
}
