import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { isObject } from '../../shared/is-object.ts'

/** What a middleware of the SDK knows of the call it is in. */
export interface Call {
  context: { clientName?: string, commandName?: string }
  input: unknown
}

/** The ids of X-Ray's header: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`. */
function idsOf (header: string): { trace: string, parent: string } | undefined {
  const trace = /Root=(1-[0-9a-f]{8}-[0-9a-f]{24})/.exec(header)?.[1]
  const parent = /Parent=([0-9a-f]{16})/.exec(header)?.[1]
  return trace === undefined || parent === undefined ? undefined : { trace, parent }
}

/** The resource that a call is about. Keys, items, bodies and messages are never recorded: they contain personal data. */
function resourceOf (input: unknown): Record<string, unknown> {
  if (!isObject(input)) return {}
  const text = (value: unknown) => typeof value === 'string' ? value : undefined
  const tables = new Set<string>()
  const operations = [input['TransactItems']].flat().filter(isObject).flatMap(item => Object.values(item)).filter(isObject)
  for (const { TableName } of operations) if (typeof TableName === 'string') tables.add(TableName)
  if (isObject(input['RequestItems'])) for (const table of Object.keys(input['RequestItems'])) tables.add(table)
  const [first, second] = tables
  return {
    table_name: text(input['TableName']) ?? (second === undefined ? first : undefined),
    table_names: second === undefined ? undefined : [...tables],
    index_name: text(input['IndexName']),
    queue_url: text(input['QueueUrl']),
    bucket_name: text(input['Bucket'])
  }
}

interface Metadata { httpStatusCode?: number, requestId?: string, attempts?: number }

const metadataOf = (value: unknown): Metadata => isObject(value) && isObject(value['$metadata']) ? value['$metadata'] as Metadata : {}

const THROTTLED = /Throttl|TooManyRequests|ProvisionedThroughputExceeded|SlowDown/

/** The error of a call by its type alone: messages quote addresses and keys. */
function failureOf (error: unknown, status: number | undefined): Record<string, unknown> {
  const { name } = error as Error
  const isClientError = (status ?? 500) < 500
  return {
    error: isClientError || undefined,
    throttle: THROTTLED.test(name) || status === 429 || undefined,
    // No answer at all counts as a fault of the service that was called.
    fault: !isClientError || undefined,
    cause: { exceptions: [{ id: randomBytes(8).toString('hex'), type: name, remote: status !== undefined }] }
  }
}

/**
 * Sends X-Ray's daemon a subsegment for each call, as one UDP packet
 * (https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html and …/xray-api-segmentdocuments.html).
 * A packet that is lost is a subsegment that is missing; no call fails or waits for it.
 */
export function createRecorder (daemon: string, region: string) {
  const address = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(daemon)
  const socket = createSocket('udp4').unref()
  socket.on('error', () => {})

  return {
    async record<T> (header: string, { context: { clientName = '', commandName = '' }, input }: Call, call: () => Promise<T>): Promise<T> {
      const ids = idsOf(header)
      if (ids === undefined || address === null) return await call()
      const { trace, parent } = ids
      const start = Date.now() / 1000

      function send ({ httpStatusCode, requestId, attempts = 1 }: Metadata, failure: Record<string, unknown> = {}) {
        const subsegment = {
          type: 'subsegment',
          id: randomBytes(8).toString('hex'),
          trace_id: trace,
          parent_id: parent,
          name: clientName.replace(/Client$/, ''),
          namespace: 'aws',
          start_time: start,
          end_time: Date.now() / 1000,
          aws: { operation: commandName.replace(/Command$/, ''), region, request_id: requestId, retries: attempts - 1, ...resourceOf(input) },
          http: httpStatusCode === undefined ? undefined : { response: { status: httpStatusCode } },
          ...failure
        }
        socket.send(`{"format":"json","version":1}\n${JSON.stringify(subsegment)}`, Number(address![2]), address![1], () => {})
      }

      try {
        const result = await call()
        const output = (result as { output?: unknown }).output
        // A presigned URL is made here, and nothing is called.
        if (!isObject(output) || !('presigned' in output)) send(metadataOf(output))
        return result
      } catch (error) {
        const metadata = metadataOf(error)
        send(metadata, failureOf(error, metadata.httpStatusCode))
        throw error
      }
    },
    close () { socket.close() }
  }
}
