// What the simulation assumes, as data. Calls and units are measured: bench/results.json.

/** Requests a second that the page is about. */
export const TARGET = 100_000

/** Shares of the requests. A registration and a sign-in are two requests each: the code is requested, and exchanged. */
export const MIX = {
  read: 0.93,
  refresh: 0.03,
  'sign-in request': 0.015,
  'code exchange, known user': 0.015,
  'registration, v1': 0.001,
  'registration, v2': 0.004,
  'code exchange, new user': 0.005
}
export type Operation = keyof typeof MIX

export const ASSUMED = {
  /** of reads that the cache answers */
  cached: 0.9,
  /** units of Valkey for a cached read: docs/cost.md */
  cacheUnits: 2,
  /** ms of a call to DynamoDB or SQS from a function in the region: median and 99th percentile */
  call: { median: 4, p99: 20 },
  /** ms of a read from the cache in the same network */
  cacheCall: 1,
  /** ms between two invocations of an instance: Lambda's runtime interface */
  invocation: 1,
  /** 99th percentile of a request, as a multiple of its median */
  tail: 4,
  /** vCPU of a function of 512 MB: one for 1,769 MB, https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
  cpuShare: 512 / 1769,
  memoryGb: 0.5,
  /** ms until a new instance starts this code: firecracker, network, download. Starts have a whole vCPU. */
  placement: 150,
  /** ms that SES takes for a mail: docs/capacity.md */
  mail: { median: 120, p99: 600 },
  /** bytes of log lines for a request, of the app and of the gateway: docs/cost.md */
  logBytes: 750,
  secondsPerMonth: 2_628_000
}

/** As template.yaml sets them by default. */
export const SETTINGS = { throttle: 200, postThrottle: 20, tokenThrottle: 50, reservedConcurrency: 100, parallelization: 4, streamBatch: 25, lanes: 16, mailSlots: 2, mailBatch: 10, outboxPartitions: 16 }

/** AWS's defaults in us-east-1, November 2026, by account and region. */
export const QUOTAS = {
  /** https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html */
  gatewayRequests: 10_000,
  /** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
  concurrency: 1000,
  /** requests a second for each unit of concurrency, of the account and of a reservation: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html */
  requestsPerInstance: 10,
  /** new instances of a function: https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html */
  scaling: { burst: 1000, perSecond: 100 },
  /** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html */
  tableUnits: 40_000,
  /** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html */
  partitionWrites: 1000,
  /** writes a second of a new table on demand: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html */
  newTableWrites: 4000,
  /** mails a second after the sandbox: https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html */
  mails: 14,
  /** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html */
  events: 10_000,
  /** of the cache, as template.yaml limits it: docs/capacity.md */
  cacheUnits: 20_000
}

/** Calls of the worker to DynamoDB for a mail. */
export const WORKER_CALLS = 3
