import { startFauxqs, type FauxqsServer } from 'fauxqs'
import { existsSync, mkdirSync } from 'node:fs'
import { Server } from 'node:http'
import type { ListenOptions, Server as NetServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CONTAINER_HOST, LOCAL_ACCOUNT, LOCAL_AWS } from './aws.ts'
import { guard, onListen, type GuardOptions } from './guard.ts'
import type { QueueDefinition, Template } from './template.ts'

export interface SqsOptions {
  /** default: a free port */
  port?: number | undefined
  /** directory for the messages; default: in memory */
  dataDir?: string | undefined
  queues: Template['queues']
  /** for the engine's S3 */
  buckets?: Template['buckets']
  /** origins of pages that may use the buckets */
  origins?: readonly string[]
}

export interface SqsEngine {
  readonly port: number
  /** http://127.0.0.1:port */
  readonly endpoint: string
  readonly server: FauxqsServer
  /** URL of a queue by its logical id */
  queueUrl (id: string): string
  /** Another number than before when messages or objects may have been written since; in memory there is none. */
  version: (() => number) | undefined
  stop (): Promise<void>
}

/** fauxqs listens on every interface and does not check requests, and has no option for either. */
function confine (server: NetServer, options: ListenOptions, pages: NonNullable<GuardOptions['pages']>): void {
  options.host = '127.0.0.1'
  if (server instanceof Server) guard(server, { hosts: [CONTAINER_HOST], pages })
}

const fileIn = (dataDir: string): string => join(dataDir, 'fauxqs.db')

/**
 * Makes messages visible that were in flight when an earlier run ended, because their consumer no longer runs. Their
 * receive is not counted either: a crash is not the message's fault, and three receives move it to the dead-letter queue.
 */
function endReceives (dataDir: string): void {
  const file = fileIn(dataDir)
  if (!existsSync(file)) return
  const database = new DatabaseSync(file)
  try {
    if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'sqs_messages'").get() === undefined) return
    database.exec('UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL, approximate_receive_count = max(0, approximate_receive_count - 1) WHERE receipt_handle IS NOT NULL')
  } finally {
    database.close()
  }
}

export const queueArn = (id: string): string => `arn:aws:sqs:${LOCAL_AWS.region}:${LOCAL_ACCOUNT}:${id}`

/** The attributes of a queue, as CreateQueue names them. */
export const queueAttributes = ({ VisibilityTimeout, MessageRetentionPeriod, redrive }: QueueDefinition): Record<string, string> => ({
  VisibilityTimeout: String(VisibilityTimeout),
  MessageRetentionPeriod: String(MessageRetentionPeriod),
  ...(redrive === undefined ? {} : { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: queueArn(redrive.queue), maxReceiveCount: redrive.maxReceiveCount }) })
})

/**
 * Starts the SQS and S3 engine in this process, with the template's queues, named by their logical ids, and its buckets.
 * Existing ones keep their messages and objects.
 */
export async function startSqs ({ port = 0, dataDir, queues, buckets = {}, origins = [] }: SqsOptions): Promise<SqsEngine> {
  if (dataDir !== undefined) {
    mkdirSync(dataDir, { recursive: true })
    endReceives(dataDir)
  }
  const pages = Object.values(buckets).map(bucket => ({ origins, prefix: `/${bucket}` }))
  const server = await onListen((server, options) => confine(server, options, pages), () => startFauxqs({ port, logger: false, defaultRegion: LOCAL_AWS.region, ...(dataDir === undefined ? {} : { dataDir }) }))
  // setup() and not createQueue(): the latter would empty queues that were loaded from a data directory.
  server.setup({
    buckets: Object.values(buckets),
    queues: Object.entries(queues).map(([name, queue]) => ({ name, attributes: queueAttributes(queue) }))
  })
  const endpoint = `http://127.0.0.1:${server.port}`
  const database = dataDir === undefined ? undefined : new DatabaseSync(fileIn(dataDir), { readOnly: true })
  const version = database?.prepare('PRAGMA data_version')
  return {
    port: server.port,
    endpoint,
    server,
    queueUrl: id => `${endpoint}/${LOCAL_ACCOUNT}/${id}`,
    version: version && (() => Number(version.get()!['data_version'])),
    async stop () {
      database?.close()
      await server.stop()
    }
  }
}
