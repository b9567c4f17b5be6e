import './require-node.cjs'
import { ProblemError } from '../clients/typescript/src/index.ts'
import { Failure, runCommand, UsageError } from './command.ts'
import { SEEDED_ADMIN } from './seeded-admin.ts'
import { change } from './users/change.ts'
import { exportUsers } from './users/export.ts'
import { find, show } from './users/lookup.ts'
import { optionsOf } from './users/options.ts'
import { check, register } from './users/register.ts'
import { clientFor, signIn, signOut, targetOf } from './users/session.ts'

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
  else if (verb === 'export') await exportUsers(service, options)
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
