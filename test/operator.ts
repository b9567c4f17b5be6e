import { PutCommand, ScanCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LOCAL_AWS } from '../local/aws.ts'
import { createTables } from '../local/dynamodb.ts'
import { completeEnv } from '../local/env.ts'
import { readTemplate } from '../local/template.ts'
import { runCommand, type Command } from '../scripts/command.ts'
import type { Engines } from './engines.ts'
import { setVariables } from './environment.ts'

// What an operator does in a test: runs the commands of the runbook, and has backups of tables.

export interface Run { code: number, stdout: string, stderr: string }

/** Runs a script of the project as a process of its own, without a terminal. */
export async function runScript (name: string, args: string[], env: Record<string, string | undefined>): Promise<Run> {
  const run = promisify(execFile)(process.execPath, [join(import.meta.dirname, '../scripts', `${name}.ts`), ...args], { env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], HOME: '/nonexistent', ...env }, maxBuffer: 2 ** 26 })
  return await run.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: Run) => error)
}

/** Runs a command in this process, which is quicker, and without a terminal. One at a time: it has the console and the environment. */
export async function runHere<Verb extends string> (command: Command<Verb>, args: string[], env: Record<string, string | undefined>): Promise<Run> {
  const run = { code: 0, stdout: '', stderr: '' }
  const [{ log, error }, { isTTY }, { exitCode }] = [console, process.stdin, process]
  console.log = (line: string) => { run.stdout += `${line}\n` }
  console.error = (line: string) => { run.stderr += `${line}\n` }
  process.stdin.isTTY = false
  process.exitCode = undefined
  const putBack = setVariables(env)
  try {
    await runCommand(command, args)
    run.code = Number(process.exitCode ?? 0)
  } finally {
    putBack()
    process.exitCode = exitCode
    process.stdin.isTTY = isTTY
    Object.assign(console, { log, error })
  }
  return run
}

/** The environment of a command that works on the tables of local engines. */
export function tablesEnv (engines: Pick<Engines, 'dynamodbEndpoint'>): Record<string, string> {
  const { USERS_TABLE, AUTH_TABLE, EMAIL_TABLE } = completeEnv({}) as Record<'USERS_TABLE' | 'AUTH_TABLE' | 'EMAIL_TABLE', string>
  return {
    AWS_REGION: LOCAL_AWS.region,
    AWS_ACCESS_KEY_ID: LOCAL_AWS.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_AWS.credentials.secretAccessKey,
    AWS_ENDPOINT_URL_DYNAMODB: engines.dynamodbEndpoint,
    USERS_TABLE,
    AUTH_TABLE,
    EMAIL_TABLE
  }
}

/** Every item of a table. */
export async function everyItem (dynamodb: DynamoDBDocumentClient, TableName: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = []
  let ExclusiveStartKey: Record<string, unknown> | undefined
  do {
    const page = await dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true, ExclusiveStartKey }))
    items.push(...page.Items ?? [])
    ExclusiveStartKey = page.LastEvaluatedKey
  } while (ExclusiveStartKey !== undefined)
  return items
}

/**
 * What a point-in-time restore would give later: a new table with the items of now. No local engine has backups.
 *
 * @returns the name of the restored table
 */
export async function backUp (dynamodb: DynamoDBDocumentClient, engines: Pick<Engines, 'dynamodbEndpoint'>, table: string): Promise<string> {
  const name = `${table}-restored`
  const { StreamSpecification, TimeToLiveSpecification, ...definition } = readTemplate().tables[table]!
  await createTables(engines.dynamodbEndpoint, { [name]: definition })
  for (const Item of await everyItem(dynamodb, table)) await dynamodb.send(new PutCommand({ TableName: name, Item }))
  return name
}
