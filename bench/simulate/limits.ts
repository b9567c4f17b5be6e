import { MIX, QUOTAS, SETTINGS } from './assumptions.ts'
import type { Usage } from './usage.ts'

interface Limit {
  name: string
  /** a second, or at once */
  value: number
  /** of it, for each request a second */
  used: number
  then: string
}

/** Whether units are of an index, and not of a table. */
export const isIndex = (place: string) => place.includes('.')

/** In the order in which growing traffic meets them. */
export function limitsOf (usage: Usage): Limit[] {
  const { writes, busy } = usage
  const tables = Object.keys(writes).filter(place => !isIndex(place))
  const posts = MIX['registration, v1'] + MIX['registration, v2']
  const tokens = MIX.refresh + MIX['code exchange, known user'] + MIX['code exchange, new user']
  const partition = (place: string, count: number, name: string, then: string): Limit => ({ name, value: QUOTAS.partitionWrites, used: (writes[place] ?? 0) / count, then })
  return [
    { name: 'stage, requests', value: SETTINGS.throttle, used: 1, then: '`ThrottleRate`' },
    { name: 'stage, `POST` to users', value: SETTINGS.postThrottle, used: posts, then: 'MethodSettings in `template.yaml`' },
    { name: 'stage, `POST` to challenges', value: SETTINGS.postThrottle, used: MIX['sign-in request'], then: 'MethodSettings in `template.yaml`' },
    { name: 'stage, `POST` to tokens', value: SETTINGS.tokenThrottle, used: tokens, then: 'MethodSettings in `template.yaml`' },
    { name: 'API Gateway, account', value: QUOTAS.gatewayRequests, used: 1, then: 'ask for more; above, a load balancer or several regions' },
    { name: 'Lambda, reservation, requests', value: SETTINGS.reservedConcurrency * QUOTAS.requestsPerInstance, used: 1, then: '`ReservedConcurrency`: a tenth of the requests a second' },
    { name: 'Lambda, reservation, instances', value: SETTINGS.reservedConcurrency, used: busy, then: '`ReservedConcurrency`' },
    { name: 'Lambda, account, requests', value: QUOTAS.concurrency * QUOTAS.requestsPerInstance, used: 1, then: 'ask for a tenth of the requests a second as concurrency' },
    { name: 'Lambda, account, instances', value: QUOTAS.concurrency, used: busy, then: 'ask for more' },
    ...tables.map(table => ({ name: `DynamoDB, ${table}, write units`, value: QUOTAS.tableUnits, used: writes[table]!, then: 'ask for more, and warm the table before' })),
    { name: 'DynamoDB, read units, all tables', value: QUOTAS.tableUnits, used: usage.readUnits, then: 'ask for more' },
    partition('UsersTable.list', 1, 'DynamoDB, the month’s partition of `list`', 'shards of a month (ADR 70)'),
    partition('UsersTable.status', 1, 'DynamoDB, the month’s partition of `status`', 'shards of a month (ADR 70)'),
    partition('UsersTable.outbox', SETTINGS.outboxPartitions, 'DynamoDB, a partition of the users’ `outbox`', 'more shards in `store.ts`'),
    partition('AuthTable.outbox', SETTINGS.outboxPartitions, 'DynamoDB, a partition of the codes’ `outbox`', 'more shards in `store.ts`'),
    { name: 'streams of a new table, batches at once', value: QUOTAS.newTableWrites / QUOTAS.partitionWrites * SETTINGS.parallelization, used: usage.entryTime / 1000, then: 'grows with the table’s partitions; ParallelizationFactor 10' },
    { name: 'e-mail worker, batches at once', value: SETTINGS.mailSlots, used: usage.mailTime / 1000, then: '`EmailMaximumConcurrency`' },
    { name: 'SES, mails', value: QUOTAS.mails, used: usage.mails, then: 'ask for more, weeks before' },
    { name: 'EventBridge, events', value: QUOTAS.events, used: usage.events, then: 'ask for more' },
    { name: 'Valkey, units', value: QUOTAS.cacheUnits, used: usage.cacheUnits, then: 'CacheUsageLimits' }
  ].filter(({ used }) => used > 0).sort((a, b) => a.value / a.used - b.value / b.used)
}
