import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { AppPlan, LocalApp } from './app.ts'
import { CONTAINER_HOST, LOCAL_AWS } from './aws.ts'
import { startBucketMapping } from './bucket-notifications.ts'
import { createCheckpoints } from './checkpoints.ts'
import { unusable } from './data-dir.ts'
import { isFull, spaceOn, watchDisk } from './disk.ts'
import { createTables, startDynamodb } from './dynamodb.ts'
import { dropReadRecords, openDynoxideFile } from './dynoxide-file.ts'
import { startQueueMapping } from './queue-mapping.ts'
import { startStreamMapping } from './stream-mapping.ts'
import { startGuard } from './guard.ts'
import { startInbox, type ReceivedMail } from './inbox.ts'
import { endLeases } from './leases.ts'
import { localLogger } from './logger.ts'
import type { Plan } from './plan.ts'
import { queueArn, startSqs } from './sqs.ts'
import { StartError } from './start-error.ts'
import { printable } from './terminal-log.ts'

export interface System {
  urls: { api: string, docs: string, inbox: string, metrics?: string }
  /** Resolves with a reason when a part ends unexpectedly. */
  readonly broken: Promise<string>
  /** Stops all parts in order. Running work is finished or put back. */
  stop (): Promise<void>
}

/** Starts the app, in this process or in another: `startApp` or `startAppProcess`. `endLeases` is for one that starts it again after a crash. */
export type AppStarter = (plan: AppPlan, around: { endLeases: () => Promise<unknown> }) => Promise<LocalApp>

/**
 * Starts the whole system: engines, inbox, app, and the event-source mappings between them. When a part cannot start, the
 * parts that have started are stopped again.
 *
 * @throws {StartError} with one line for the user
 */
export async function startSystem (plan: Plan, start: AppStarter): Promise<System> {
  const stops: (() => unknown)[] = [() => plan.data.release()]
  async function stop () {
    for (const step of stops.splice(0).reverse()) await step()
  }
  try {
    return { ...await startParts(plan, start, stops), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Prints one line for each mail, with its URL in the inbox. Only done locally; the service logs no address. */
function onMail ({ to, subject, url }: ReceivedMail): void {
  console.log(printable(`mail to ${to}: ${subject} → ${url}`).replaceAll('\n', ' '))
}

/** Starts a part that keeps its data in a directory. Errors name the directory. */
async function startPart<T> (directory: string, start: (directory: string) => Promise<T>): Promise<T> {
  try {
    return await start(directory)
  } catch (error) {
    throw error instanceof StartError ? new StartError(`${error.message} (LOCAL_DATA_DIR: its data is in ${directory})`) : unusable(directory, error)
  }
}

/** Starts the parts in order. The function that stops a part is added to `stops` as soon as the part runs. */
async function startParts ({ dir, data, host, ports, engine, template, config, env }: Plan, start: AppStarter, stops: (() => unknown)[]): Promise<Omit<System, 'stop'>> {
  const startEngine = () => startPart(data.path('dynamodb'), dataDir => startDynamodb({ ...engine, dataDir }))
  const checkpoints = createCheckpoints(data.path('checkpoints.json'))
  try {
    dropReadRecords(data.path('dynamodb'), checkpoints.positions)
  } catch {
    // The engine starts without it, or says what is wrong with its database.
  }
  let dynamodb = await startEngine()
  let isStopping = false
  stops.push(() => {
    isStopping = true
    return dynamodb.stop()
  })
  const guarded = await startGuard({ port: ports.dynamodb, target: engine, hosts: [CONTAINER_HOST] })
  stops.push(() => guarded.stop())
  await createTables(dynamodb.endpoint, template.tables)
  const file = dynamodb.kind === 'dynoxide' ? openDynoxideFile(data.path('dynamodb'), Object.keys(template.tables)) : undefined
  stops.push(() => file?.close())
  await endLeases(dynamodb.endpoint, template.tables, file)
  const sqs = await startPart(data.path('sqs'), dataDir => startSqs({ port: ports.sqs, dataDir, queues: template.queues, buckets: template.buckets, origins: [new URL(config.PUBLIC_URL).origin, ...config.CORS_ORIGIN ?? []] }))
  stops.push(() => sqs.stop())
  const inbox = await startPart(data.path('mails'), mailDirectory => startInbox({ smtpPort: ports.smtp, webPort: ports.inbox, mailDirectory, onMail }))
  stops.push(() => inbox.stop())

  const app = await start({ config, host, port: ports.api, logDirectory: data.path('log') }, { endLeases: () => endLeases(dynamodb.endpoint, template.tables, file) })
  stops.push(() => app.close())
  const log = localLogger(config)

  // Each kind of batch gets the answer that its mapping expects.
  const deliver = async (event: { Records: unknown }, invocation: { deadline: number }) => await app.deliver(event, invocation) as never
  const streams = new DynamoDBStreamsClient({ ...LOCAL_AWS, endpoint: dynamodb.endpoint })
  const queues = new SQSClient({ ...LOCAL_AWS, endpoint: sqs.endpoint })
  const s3 = new S3Client({ ...LOCAL_AWS, endpoint: sqs.endpoint, forcePathStyle: true })
  const mappings = [
    ...template.streamMappings.map(mapping => startStreamMapping({
      mapping, handler: deliver, streams, sqs: queues, queueUrl: sqs.queueUrl, checkpoints, file, log
    })),
    ...template.queueMappings.map(mapping => startQueueMapping({
      mapping, handler: deliver, sqs: queues, queueUrl: sqs.queueUrl(mapping.queue), queueArn: queueArn(mapping.queue), log
    })),
    ...template.bucketMappings.map(mapping => startBucketMapping({ mapping, handler: deliver, s3, sqs: queues, queueUrl: sqs.queueUrl, version: sqs.version, log }))
  ]
  const sweep = (minAge?: number) => {
    app.sweep({ timeout: template.sweep.timeout, ...(minAge === undefined ? {} : { minAge }) }).catch((err: unknown) => log.warn({ err }, 'the sweep could not handle every entry'))
  }
  // Records may have left the streams while the system was stopped. Then only the outboxes have the entries. The last stop
  // may also have been a kill.
  sweep(0)
  const sweeper = setInterval(() => sweep(), template.sweep.interval)
  stops.push(async () => {
    clearInterval(sweeper)
    await Promise.all(mappings.map(mapping => mapping.stop()))
    streams.destroy()
    queues.destroy()
    s3.destroy()
  })
  stops.push(() => app.giveUp())

  const disk = watchDisk(dir, console.error)
  stops.push(() => disk.stop())

  /** Restarts the engine when a full disk has ended it. Resolves when it has ended for another reason. */
  async function watchEngine (): Promise<string> {
    for (;;) {
      await dynamodb.ended
      if (isStopping) return await new Promise<never>(() => {})
      if (!isFull(dir)) return 'The DynamoDB engine has ended unexpectedly'
      await spaceOn(dir, () => {}) // the watch reports it
      if (isStopping) continue
      try {
        dynamodb = await startEngine()
      } catch (error) {
        return (error as Error).message
      }
    }
  }

  data.writeEnv(env)
  return {
    urls: { api: config.PUBLIC_URL, docs: `${config.PUBLIC_URL}/docs`, inbox: inbox.url, ...(ports.metrics === undefined ? {} : { metrics: `http://localhost:${ports.metrics}/metrics` }) },
    broken: watchEngine()
  }
}
