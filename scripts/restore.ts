import { DescribeTableCommand, DynamoDBClient, RestoreTableToPointInTimeCommand } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { confirm, Failure, progress, required, runCommand, UsageError, type Command } from './command.ts'
import { copyUsers, type CopyReport } from './restore/copy-users.ts'
import { inspectUsers } from './restore/inspect-users.ts'
import { readLedger, type Ledger } from './restore/ledger.ts'
import { copyAuth, copyEmail, inspectAuth } from './restore/others.ts'
import { outputsOf } from './stack-outputs.ts'

const HELP = `npm run restore -- create | plan | run | verify: brings lost items back from a point-in-time backup, into the live tables.

  create   restores a table to a time, as a new table beside the live one, and waits until it can be read
  plan     says what run would copy, and changes nothing
  run      copies what is lost, then repairs what follows from it (claims of addresses, admins, lists), then verifies
  verify   checks the live tables: each account with its claims, no erased account, no claim without an account

  --stack NAME    the stack whose tables these are; without it USERS_TABLE, AUTH_TABLE and EMAIL_TABLE name them
  --table KIND    users (default), auth or email: the table that create, plan and run are about
  --at TIME       create: the time to go back to, such as 2026-01-31T12:00:00Z; without it the latest possible
  --from TABLE    plan, run: the restored table
  --erased FILE   ids of further erased accounts, one a line, where both the users and the auth table are lost
  --yes           run: does not ask

The service may run meanwhile. Nothing that it wrote since is replaced, no erased account comes back, and nothing is mailed
or announced. run can be interrupted and repeated. Exit code 1: verify has found a fault, or an account was not copied.
`

const KINDS = ['users', 'auth', 'email'] as const
type Kind = typeof KINDS[number]
type Tables = Record<Kind, string>

async function tablesOf (stack: string | undefined): Promise<Tables> {
  if (stack !== undefined) {
    const outputs = await outputsOf(stack, ['UsersTableName', 'AuthTableName', 'EmailTableName'])
    return { users: outputs.UsersTableName, auth: outputs.AuthTableName, email: outputs.EmailTableName }
  }
  const [users, auth, email] = ['USERS_TABLE', 'AUTH_TABLE', 'EMAIL_TABLE'].map(name => process.env[name])
  if (!users || !auth || !email) throw new UsageError('--stack is missing: the name of the stack, or set USERS_TABLE, AUTH_TABLE and EMAIL_TABLE')
  return { users, auth, email }
}

/** Seconds between two looks at a table that is being restored; AWS takes minutes. */
const POLL = 10

/** Starts the restore and waits for its end. A second call with the same time finds the first one's table. */
async function create (dynamodb: DynamoDBClient, source: string, at: string | undefined): Promise<void> {
  const time = at === undefined ? undefined : new Date(at)
  if (time !== undefined && Number.isNaN(time.getTime())) throw new UsageError(`--at is no time: ${at}. Write it like 2026-01-31T12:00:00Z`)
  const target = `${source}-restored-${(time ?? new Date()).toISOString().replace(/\.\d+|[:-]/g, '')}`
  const stateOf = async () => (await dynamodb.send(new DescribeTableCommand({ TableName: target })).catch((error: Error) => {
    if (error.name !== 'ResourceNotFoundException') throw error
    return undefined
  }))?.Table
  if (await stateOf() === undefined) {
    await dynamodb.send(new RestoreTableToPointInTimeCommand({ SourceTableName: source, TargetTableName: target, ...(time === undefined ? { UseLatestRestorableTime: true } : { RestoreDateTime: time }) }))
  }
  const report = progress()
  const start = Date.now()
  for (let table = await stateOf(); table?.TableStatus !== 'ACTIVE'; table = await stateOf()) {
    report(`${target} is ${table?.TableStatus ?? 'not there yet'}, ${Math.round((Date.now() - start) / 1000)} s`)
    await sleep(POLL * 1000)
  }
  console.log(`${target} is ready: the data of ${time?.toISOString() ?? 'a few minutes ago'}, without TTL, stream, backups, deletion protection and tags.
It is a source to copy from, not a table for the service. Next: npm run restore -- plan … --from ${target}`)
}

const WORDS: Record<keyof CopyReport['accounts'], string> = {
  missing: 'lost, copied back',
  older: 'older in the live table, replaced',
  altered: 'changed without a new version or not readable, replaced',
  same: 'unchanged',
  newer: 'changed since the backup, kept',
  erased: 'erased, left out',
  taken: 'not copied: the address belongs to another account now',
  invalid: 'not copied: the backup has no valid account'
}

const row = (count: number, what: string) => console.log(`${String(count).padStart(10)}  ${what}`)

function printUsers ({ accounts, records, leftOut, taken }: CopyReport): void {
  for (const [outcome, count] of Object.entries(accounts)) row(count, `accounts ${WORDS[outcome as keyof typeof WORDS]}`)
  row(records, 'markers of erasure and audit lines copied back')
  for (const [kind, count] of Object.entries(leftOut).sort()) row(count, `items left out: ${kind}`)
  if (taken.length > 0) console.log(`Not copied, see "Restore data" in the runbook: ${taken.slice(0, 20).join(' ')}${taken.length > 20 ? ` and ${taken.length - 20} more` : ''}`)
}

interface Job { dynamodb: DynamoDBDocumentClient, tables: Tables, kind: Kind, from: string, ledger: Ledger }

/** @returns how many accounts could not be copied */
async function copyInto ({ dynamodb, tables, kind, from, ledger }: Job, isDry: boolean): Promise<number> {
  const report = progress()
  if (kind === 'users') {
    const result = await copyUsers({
      dynamodb,
      live: tables.users,
      restored: from,
      ledger,
      isDry,
      onProgress: ({ accounts }) => report(`${Object.values(accounts).reduce((a, b) => a + b)} accounts compared …`)
    })
    printUsers(result)
    return result.accounts.taken + result.accounts.invalid
  }
  const { copied, leftOut } = await (kind === 'auth' ? copyAuth : copyEmail)({ dynamodb, live: tables[kind], restored: from, isDry, onPage: ({ copied }) => report(`${copied} copied …`) })
  row(copied, isDry ? 'items to copy, where the live table has lost them' : 'items copied')
  for (const [what, count] of Object.entries(leftOut).sort()) row(count, `items left out: ${what}`)
  return 0
}

async function verify ({ dynamodb, tables, ledger }: Pick<Job, 'dynamodb' | 'tables' | 'ledger'>, isRepairing: boolean): Promise<void> {
  const report = progress()
  const inspect = async (isRepairing: boolean) => await inspectUsers({ dynamodb, table: tables.users, ledger, isRepairing, onPage: items => report(`${items} items ${isRepairing ? 'repaired' : 'verified'} …`) })
  if (isRepairing) for (const [what, count] of Object.entries((await inspect(true)).repaired)) row(count, `repaired: ${what}`)
  const { faults, accounts } = await inspect(false)
  const sessions = await inspectAuth({ dynamodb, table: tables.auth, ledger })
  if (sessions.length > 0) faults['erased accounts with sessions'] = sessions
  for (const [what, ids] of Object.entries(faults)) {
    row(ids.length, `FAULT: ${what}`)
    console.log(`            ${ids.slice(0, 20).join(' ')}${ids.length > 20 ? ' …' : ''}`)
  }
  if (Object.keys(faults).length > 0) throw new Failure(`${accounts} accounts verified, with faults`)
  console.log(`${accounts} accounts verified against ${ledger.size} erasures: no fault`)
}

export const command: Command<'create' | 'plan' | 'run' | 'verify'> = {
  help: HELP,
  verbs: ['create', 'plan', 'run', 'verify'],
  options: { stack: { type: 'string' }, table: { type: 'string' }, at: { type: 'string' }, from: { type: 'string' }, erased: { type: 'string' }, yes: { type: 'boolean' } },
  async run (verb, options) {
    const text = (name: string) => options[name] as string | undefined
    const kind = (text('table') ?? 'users') as Kind
    if (!KINDS.includes(kind)) throw new UsageError(`--table is one of ${KINDS.join(', ')}`)
    if (text('erased') !== undefined && !existsSync(text('erased')!)) throw new UsageError(`--erased: there is no file ${text('erased')}`)
    const from = verb === 'plan' || verb === 'run' ? required(text('from'), 'from', 'the restored table, which create has made') : ''
    const tables = await tablesOf(text('stack'))
    if (from === tables[kind]) throw new UsageError('--from is the live table itself')
    const client = new DynamoDBClient({})
    const dynamodb = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
    try {
      if (verb === 'create') return await create(client, tables[kind], text('at'))
      const ids = text('erased') === undefined ? [] : readFileSync(text('erased')!, 'utf8').split(/\s+/).filter(Boolean)
      const ledger = await readLedger(dynamodb, [
        { kind: 'users', name: tables.users },
        { kind: 'auth', name: tables.auth },
        ...(from !== '' && kind !== 'email' ? [{ kind, name: from }] : [])
      ], ids)
      if (verb === 'verify') return await verify({ dynamodb, tables, ledger }, false)
      const job = { dynamodb, tables, kind, from, ledger }
      console.log(`From ${from} into ${tables[kind]}; ${ledger.size} erasures are known.`)
      if (verb === 'plan') return void await copyInto(job, true)
      if (options['yes'] !== true) {
        await copyInto(job, true)
        if (!await confirm('Copy?', false)) return console.log('Nothing was changed')
      }
      const left = await copyInto(job, false)
      await verify({ dynamodb, tables, ledger }, true)
      if (left > 0) throw new Failure(`${left} accounts were not copied`)
    } finally {
      client.destroy()
    }
  }
}

if (import.meta.main) await runCommand(command)
