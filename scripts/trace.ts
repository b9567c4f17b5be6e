import { CORRELATION_ID_PATTERN } from '../src/shared/ids.ts'
import { Failure, reportFailure, UsageError } from './command.ts'
import { readArguments } from './options.ts'
import { readLocalLog } from './trace/local.ts'
import { readStackLogs } from './trace/stack.ts'
import { storyOf, textOf } from './trace/story.ts'

const HELP = `npm run trace -- ID: what happened to one request, from its answer to its mail, in order and with times.

ID is the correlation id: the answer's x-correlation-id, correlationId in an error, X-Correlation-Id in a mail.

It is looked up in the log of npm start, which keeps its newest 16 MB in LOCAL_DATA_DIR/log (.local/log), also when it does not
run; or in the logs of a stack. There, LogLevel decides what can be found: info shows each step, warn only what went wrong.

  --stack NAME   the logs of a stack; AWS's own variables say in which account and region
  --since 24h    with --stack: how far back to look, in minutes, hours or days (90m, 24h, 7d). A day of a busy stack takes minutes
  --json         the lines of the log as they are, in an array

Exit code 1 when there is no such id.
`

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as `90m`. */
function millisecondsOf (text: string): number {
  const [, count, unit] = /^([1-9]\d{0,3})([mhd])$/.exec(text) ?? []
  if (unit === undefined) throw new UsageError('--since expects minutes, hours or days, as in 90m, 24h or 7d')
  return Number(count) * UNITS[unit]!
}

async function main (): Promise<void> {
  const { values: { stack, since, json }, positionals: [id, ...more] } = readArguments(HELP, { stack: { type: 'string' }, since: { type: 'string' }, json: { type: 'boolean' } })
  if (id === undefined || more.length > 0) throw new UsageError('Expected one correlation id: npm run trace -- ID. --help says where it is found')
  if (!CORRELATION_ID_PATTERN.test(id)) throw new UsageError('This is no correlation id: it has 1 to 64 letters, digits, dots, dashes and underscores')
  if (since !== undefined && stack === undefined) throw new UsageError('--since needs --stack: the local log is read whole')
  const period = String(since ?? '24h')
  const { lines, place } = stack === undefined ? readLocalLog(id) : await readStackLogs(String(stack), id, Date.now() - millisecondsOf(period))
  const story = storyOf(lines, id)
  if (story.length === 0) throw new Failure(`There is nothing about ${id} in ${place}${stack === undefined ? '' : `, since ${period}: --since looks further back`}`)
  console.log(json === true ? JSON.stringify(story.map(({ line }) => line), undefined, 2) : textOf(story, id))
}

await main().catch((error: unknown) => reportFailure(error))
