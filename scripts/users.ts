import './require-node.cjs'
import { once } from 'node:events'
import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Writable } from 'node:stream'
import { ProblemError, type User, type UserService } from '../clients/typescript/src/index.ts'
import { confirm, Failure, progress, runCommand, UsageError } from './command.ts'
import { SEEDED_ADMIN } from './seeded-admin.ts'
import { abortOnSignals } from './signals.ts'
import { importRows, type Counts } from './users/import.ts'
import { formatOf, surveyRows, type Row } from './users/rows.ts'
import { clientFor, signIn, signOut, targetOf, type Target } from './users/session.ts'

const HELP = `npm run users -- VERB …: looks at users and changes them, as an admin, through the API of a service.

  find [ADDRESS]     users, newest first; with an address the one that has it
  show WHO           a user, and what admins did with the account. WHO is an address or an id
  promote WHO        makes an active user an admin; demote takes it back
  suspend WHO        ends all sessions and refuses new ones; reactivate allows them again
  delete WHO         erases the account, its sessions and personal data
  import FILE        registers the users of a .csv or .ndjson file: email, name and locale. Each gets a welcome mail, and an
                     account that is not confirmed is removed after seven days. An import that was interrupted goes on where
                     it stopped. FILE.refused.ndjson has the rows that were refused, and why
  export             all users, or those with --status, as .ndjson or .csv
  sign-in, sign-out  starts and ends the session of an admin (--as) at a service that is not local

Which service:
  (nothing)          the running npm start, as ${SEEDED_ADMIN}, whom npm run seed makes, or as the admin of --as
  --stack NAME       a stack, found with AWS_PROFILE and AWS_REGION
  --url URL          any other

  --as ADDRESS       the admin to act as. Tokens are kept in ~/.config/user-service, or in LOCAL_DATA_DIR (.local)
  --status STATUS    find, export: PENDING_VERIFICATION, ACTIVE or SUSPENDED
  --limit N          find: at most so many (20)
  --out FILE         export: into a file instead of the terminal
  --format FORMAT    import, export: csv or ndjson, if the name of the file does not say it
  --restart          import: from the first row, although an earlier import has stopped later
  --dry-run          says what would be done, and changes nothing. An import is checked without a service
  --yes              does not ask
  --json             prints JSON, one object a line

A batch of an import has 100 rows, and a service takes 10 batches in a minute from a network: 1,000,000 rows take 17 hours.
RATE_LIMIT_MAX of the service, during the import, sets another limit.

Exit codes: 0, 1 failed, 2 called wrongly, 3 rows were refused, 130 interrupted.
`

const VERBS = ['find', 'show', 'promote', 'demote', 'suspend', 'reactivate', 'delete', 'import', 'export', 'sign-in', 'sign-out'] as const
type Verb = typeof VERBS[number]

const CHANGES = {
  promote: { patch: { role: 'admin' }, is: 'is an admin' },
  demote: { patch: { role: 'user' }, is: 'is no admin' },
  suspend: { patch: { status: 'SUSPENDED' }, is: 'is suspended' },
  reactivate: { patch: { status: 'ACTIVE' }, is: 'is active' }
} as const

const REFUSED = 3
const INTERRUPTED = 130
/** A page of a list. */
const PAGE = 100
/** An import waits for limits and restarts of the service: four minutes of refusals in a row end it. */
const PATIENT = { attempts: 1000, totalMs: 240_000 }

interface Options { json: boolean, dryRun: boolean, yes: boolean, restart: boolean, status: User['status'] | undefined, limit: number, out: string | undefined, format: string | undefined, as: string | undefined }

function optionsOf (values: Record<string, string | boolean | undefined>): Options {
  const text = (name: string) => values[name] as string | undefined
  const status = text('status')
  if (status !== undefined && !['PENDING_VERIFICATION', 'ACTIVE', 'SUSPENDED'].includes(status)) throw new UsageError('--status is PENDING_VERIFICATION, ACTIVE or SUSPENDED')
  const limit = Number(text('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit is not a whole number from 1 on')
  return {
    json: values['json'] === true,
    dryRun: values['dry-run'] === true,
    yes: values['yes'] === true,
    restart: values['restart'] === true,
    status: status as User['status'] | undefined,
    limit,
    out: text('out'),
    format: text('format'),
    as: text('as')
  }
}

const number = (value: number) => value.toLocaleString('en-US')
// Names are what users typed: nothing in them may control the terminal.
const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
const lineOf = ({ email, id, role, status, name, createdAt }: User) => printable(`${id}  ${createdAt.slice(0, 10)}  ${status.padEnd(20)}  ${role.padEnd(5)}  ${email}  ${name}`)

async function * usersOf (service: UserService, { status, email, signal }: { status?: User['status'] | undefined, email?: string | undefined, signal?: AbortSignal }): AsyncGenerator<User> {
  let cursor: string | undefined
  do {
    const { data } = await service.users.list({
      query: { limit: PAGE, ...(cursor === undefined ? {} : { cursor }), ...(status === undefined ? {} : { status }), ...(email === undefined ? {} : { email }) },
      ...(signal === undefined ? {} : { signal })
    })
    yield * data.items
    cursor = data.nextCursor ?? undefined
  } while (cursor !== undefined)
}

/** The user with an address or an id, and the ETag of the account. Throws a Failure when there is none. */
async function userOf (service: UserService, who: string): Promise<{ user: User, etag: string | undefined }> {
  const none = new Failure(printable(`There is no user ${who}`))
  let id: string | undefined = who
  if (who.includes('@')) id = ((await usersOf(service, { email: who }).next()).value as User | undefined)?.id
  if (id === undefined) throw none
  try {
    const { data: user, etag } = await service.users.get({ path: { id } })
    return { user: user as User, etag }
  } catch (error) {
    throw error instanceof ProblemError && [400, 404].includes(error.status) ? none : error
  }
}

async function find (service: UserService, email: string | undefined, { status, limit, json }: Options): Promise<void> {
  let left = limit
  for await (const user of usersOf(service, { status, email })) {
    console.log(json ? JSON.stringify(user) : lineOf(user))
    if (--left === 0) return
  }
  if (left === limit && !json) console.log('No user')
}

async function show (service: UserService, who: string, { json }: Options): Promise<void> {
  const { user } = await userOf(service, who)
  const { data: { items } } = await service.users.audit({ path: { id: user.id }, query: { limit: PAGE } })
  if (json) return console.log(JSON.stringify({ ...user, audit: items }))
  for (const [name, value] of Object.entries(user)) console.log(`${name.padEnd(12)}  ${printable(typeof value === 'object' ? JSON.stringify(value) : String(value))}`)
  for (const { at, action, actorId, changed = [], status, role } of items) console.log([at, action, ...changed, status, role, 'by', actorId].filter(part => part !== undefined).join(' '))
}

async function change (service: UserService, verb: keyof typeof CHANGES | 'delete', who: string, { json, dryRun, yes }: Options): Promise<void> {
  const { user, etag } = await userOf(service, who)
  const { email, id, version } = user
  const about = `${email} (${id}, ${user.status}, ${user.role})`
  const isDone = verb !== 'delete' && Object.entries(CHANGES[verb].patch).every(([field, value]) => user[field as 'role'] === value)
  if (isDone || dryRun) {
    const said = isDone ? `${about} ${CHANGES[verb as 'promote'].is} already` : `Would ${verb} ${about}`
    return console.log(json ? JSON.stringify({ ...user, changed: false }) : printable(said))
  }
  if (!await confirm(printable(verb === 'delete' ? `Erase ${about} permanently?` : `${verb} ${about}?`), yes || verb !== 'delete')) return console.log('Nothing was changed')
  // Only the account that was shown: one that has changed meanwhile is looked at again.
  if (verb === 'delete') await service.users.delete({ path: { id }, ifMatch: etag })
  const changed = verb === 'delete' ? { id, email, version } : (await service.users.update({ path: { id }, ifMatch: etag, body: CHANGES[verb].patch })).data
  console.log(json ? JSON.stringify({ ...changed, changed: true }) : printable(`${email} ${verb === 'delete' ? 'was erased' : CHANGES[verb].is}`))
}

/** One line that is written over on a terminal, and a line every few seconds in a log. */
function progressBar (total: number) {
  const line = progress()
  const began = Date.now()
  let first: number | undefined
  return ({ rows, registered, refused }: Counts) => {
    first ??= rows
    const seconds = (Date.now() - began) / 1000
    const left = rows > first ? Math.round((total - rows) * seconds / (rows - first) / 60) : undefined
    const done = Math.round(20 * rows / total)
    const text = `${'█'.repeat(done)}${'░'.repeat(20 - done)} ${number(rows)} of ${number(total)} rows, ${number(registered)} registered, ${number(refused)} refused${left === undefined ? '' : `, ${left} min left`}`
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}${rows === total ? '\n' : ''}`)
    else line(text)
  }
}

/** Checks the rows of a file as the service would, but for addresses that are registered already. */
async function check (file: string, options: Options): Promise<void> {
  const { invalidity } = await import('./users/check.ts')
  let refused = 0
  const { rows } = await surveyRows(file, formatOf(file, options.format), (row: Row) => {
    const detail = 'reason' in row ? row.reason : invalidity(row.value)
    if (detail === undefined) return
    refused++
    console.log(options.json ? JSON.stringify({ row: row.number, detail }) : printable(`row ${row.number}: ${detail}`))
  })
  console.error(`${number(rows - refused)} of ${number(rows)} rows can be registered. Addresses that have an account are found by the import`)
  if (refused > 0) process.exitCode = REFUSED
}

async function register (target: Target, file: string, options: Options): Promise<void> {
  const format = formatOf(file, options.format)
  const { rows: total, digest } = await surveyRows(file, format)
  if (total === 0) throw new UsageError(`${file} has no rows`)
  const service = await clientFor(target, options.as, PATIENT)
  if (!await confirm(`Register up to ${number(total)} users at ${target.url}, with a mail to each?`, options.yes)) return console.log('Nothing was changed')
  const signal = abortOnSignals()
  const { rows, registered, refused, report, isDone } = await importRows({
    file,
    format,
    digest,
    target: target.url,
    restart: options.restart,
    signal,
    onProgress: progressBar(total),
    // What the client sends is what the file says; the service refuses what does not fit.
    register: async (users, key) => (await service.users.createBatch({ body: { users: users as never }, idempotencyKey: key, signal })).data.results
  })
  const summary = `${number(registered)} registered, ${number(refused)} refused${report === undefined ? '' : ` (${report})`}`
  if (options.json) console.log(JSON.stringify({ rows, registered, refused, report: report ?? null, isDone }))
  else console.log(isDone ? summary : `Stopped after row ${number(rows)} of ${number(total)}: ${summary}. The same command goes on there`)
  process.exitCode = !isDone ? INTERRUPTED : refused > 0 ? REFUSED : 0
}

const FIELDS = ['id', 'email', 'name', 'locale', 'status', 'role', 'createdAt', 'updatedAt', 'version'] as const
const cell = (value: string | number) => /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value)

async function write (service: UserService, { status, out, format, json }: Options): Promise<void> {
  const as = json ? 'ndjson' : formatOf(out ?? 'users.ndjson', format)
  if (out !== undefined && existsSync(out) && statSync(out).isDirectory()) throw new UsageError(`--out ${out} is a directory`)
  // Complete or not there.
  const stream: Writable = out === undefined ? process.stdout : createWriteStream(`${out}.part`, { mode: 0o600 })
  const signal = abortOnSignals()
  const line = progress()
  let count = 0
  const put = async (text: string) => { if (!stream.write(`${text}\n`)) await once(stream, 'drain') }
  if (as === 'csv') await put(FIELDS.join(','))
  try {
    for await (const user of usersOf(service, { status, signal })) {
      await put(as === 'csv' ? FIELDS.map(field => cell(user[field])).join(',') : JSON.stringify(user))
      line(`${number(++count)} users`)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    process.exitCode = INTERRUPTED
    if (out !== undefined) rmSync(`${out}.part`, { force: true })
    return console.error(`Interrupted after ${number(count)} users`)
  }
  if (out === undefined) return
  stream.end()
  await finished(stream)
  renameSync(`${out}.part`, out)
  console.error(`${number(count)} users in ${out}`)
}

/** What a ProblemError means to an operator. */
function explained (error: unknown): unknown {
  if (error instanceof ProblemError) {
    if (error.code === 'FORBIDDEN') return new Failure('The account that is signed in is no admin')
    return new Failure(`The service answered ${error.status} ${error.code ?? ''}: ${error.detail ?? error.message}`)
  }
  if (error instanceof TypeError && error.cause !== undefined) return new Failure(`The service cannot be reached (${(error.cause as Error).message})`)
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new UsageError(`There is no file ${(error as NodeJS.ErrnoException).path}`)
  return error
}

async function run (verb: Verb, values: Record<string, string | boolean | undefined>, operand: string | undefined): Promise<void> {
  const options = optionsOf(values)
  if (verb === 'import' && options.dryRun) return await check(operand!, options)
  const target = await targetOf({ url: values['url'] as string | undefined, stack: values['stack'] as string | undefined })
  if (verb === 'sign-in') {
    if (options.as === undefined && target.codeSecret === undefined) throw new UsageError('--as is missing: the address of the admin')
    return await signIn(target, options.as ?? SEEDED_ADMIN)
  }
  if (verb === 'sign-out') return await signOut(target)
  if (verb === 'import') return await register(target, operand!, options)
  const service = await clientFor(target, options.as)
  if (verb === 'find') await find(service, operand, options)
  else if (verb === 'show') await show(service, operand!, options)
  else if (verb === 'export') await write(service, options)
  else await change(service, verb, operand!, options)
}

// The reader of the output has ended, as head does.
process.stdout.on('error', () => process.exit())

await runCommand({
  help: HELP,
  verbs: VERBS,
  operands: { find: '[ADDRESS]', show: 'WHO', promote: 'WHO', demote: 'WHO', suspend: 'WHO', reactivate: 'WHO', delete: 'WHO', import: 'FILE' },
  options: {
    url: { type: 'string' },
    stack: { type: 'string' },
    as: { type: 'string' },
    status: { type: 'string' },
    limit: { type: 'string' },
    out: { type: 'string' },
    format: { type: 'string' },
    restart: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    json: { type: 'boolean' }
  },
  async run (verb, values, operand) {
    try {
      await run(verb, values, operand)
    } catch (error) {
      throw explained(error)
    }
  }
})
