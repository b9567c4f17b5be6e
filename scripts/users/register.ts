import type { RetryOptions } from '../../clients/typescript/src/index.ts'
import { confirm, progress, UsageError } from '../command.ts'
import { abortOnSignals } from '../signals.ts'
import { importRows, type Counts } from './import.ts'
import type { Options } from './options.ts'
import { INTERRUPTED, number, printable, REFUSED } from './output.ts'
import { formatOf, surveyRows, type Row } from './rows.ts'
import { clientFor, type Target } from './session.ts'

/** An import waits for limits and restarts of the service: four minutes of refusals in a row end it. */
const PATIENT: RetryOptions = { attempts: 1000, totalMs: 240_000 }

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
export async function check (file: string, options: Options): Promise<void> {
  const { invalidity } = await import('./check.ts')
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

/** Registers the users of a file at a service, after a question. */
export async function register (target: Target, file: string, options: Options): Promise<void> {
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
