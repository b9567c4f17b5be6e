import { closeSync, existsSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { replaceFile } from '../../local/replace-file.ts'
import { UsageError } from '../command.ts'
import { readRows, type Format } from './rows.ts'

/** What the service says of a row. */
export interface RowResult { status: number, code?: string, detail?: string }

export interface ImportOptions {
  file: string
  format: Format
  /** SHA-256 of the file */
  digest: string
  /** where the users go: an import is continued only there */
  target: string
  /** begins anew where an earlier import of the file has stopped */
  restart: boolean
  /** Registers rows, at most 100. The same key means the same rows. */
  register: (rows: Record<string, unknown>[], key: string) => Promise<RowResult[]>
  onProgress: (state: Readonly<Counts>) => void
  signal: AbortSignal
}

export interface Counts {
  /** rows that are done */
  rows: number
  registered: number
  refused: number
}

interface State extends Counts {
  digest: string
  target: string
  /** bytes of the report that belong to these rows */
  report: number
}

/** Rows in a request, and bytes of them: a body may have 64 KiB. */
const BATCH = { rows: 100, bytes: 60_000 }

const filesOf = (file: string) => ({ state: `${file}.import.json`, report: `${file}.refused.ndjson` })

function readState (file: string, { digest, target, restart }: ImportOptions): State {
  const files = filesOf(file)
  const fresh: State = { digest, target, rows: 0, registered: 0, refused: 0, report: 0 }
  if (restart || !existsSync(files.state)) return fresh
  const state = JSON.parse(readFileSync(files.state, 'utf8')) as State
  if (state.digest !== digest) throw new UsageError(`${file} has changed since its import was interrupted. --restart imports it from the beginning`)
  if (state.target !== target) throw new UsageError(`${files.state} is about an import to ${state.target}. --restart begins one to ${target}`)
  return state
}

/**
 * Registers the users of a file, in its order. The place is kept beside the file after each batch, so that a repetition goes
 * on there. A batch whose answer was lost is sent again under its key and gets the same answer.
 *
 * @returns the counts, of earlier attempts too, and the file with the refused rows, if there are any
 */
export async function importRows (options: ImportOptions): Promise<Counts & { report: string | undefined, isDone: boolean }> {
  const { file, format, register, onProgress, signal } = options
  const files = filesOf(file)
  const state = readState(file, options)
  // It holds what users typed.
  const report = openSync(files.report, 'a', 0o600)
  truncateSync(files.report, state.report) // what was written after the last state
  let batch: { number: number, value: Record<string, unknown> }[] = []
  let unreadable: { number: number, reason: string }[] = []
  let bytes = 0
  let last = state.rows

  async function finish (): Promise<void> {
    if (last === state.rows) return
    const results = batch.length === 0 ? [] : await register(batch.map(({ value }) => value), `${options.digest.slice(0, 32)}-${batch[0]!.number}`)
    const refused = [
      ...unreadable.map(({ number, reason }) => ({ row: number, detail: reason })),
      ...batch.flatMap(({ number, value }, i) => {
        const { status, code, detail } = results[i]!
        return status === 201 ? [] : [{ row: number, email: value['email'], code, detail }]
      })
    ].sort((a, b) => a.row - b.row)
    for (const line of refused) state.report += writeSync(report, `${JSON.stringify(line)}\n`)
    state.refused += refused.length
    state.registered += last - state.rows - refused.length
    state.rows = last
    replaceFile(files.state, JSON.stringify(state))
    batch = []
    unreadable = []
    bytes = 0
    onProgress(state)
  }

  try {
    for await (const row of readRows(file, format)) {
      if (row.number <= state.rows) continue
      if ('value' in row) {
        const size = Buffer.byteLength(JSON.stringify(row.value)) + 1
        if (batch.length === BATCH.rows || bytes + size > BATCH.bytes) await finish()
        batch.push(row)
        bytes += size
      } else {
        if (unreadable.length === BATCH.rows) await finish()
        unreadable.push(row)
      }
      last = row.number
      if (signal.aborted) break
    }
    if (!signal.aborted) await finish()
  } catch (error) {
    // An answer that is not waited for: the repetition sends its batch again, under the same key.
    if (!signal.aborted) throw error
  } finally {
    closeSync(report)
  }
  const isDone = !signal.aborted
  if (isDone) rmSync(files.state, { force: true })
  if (state.report === 0) rmSync(files.report, { force: true })
  const { rows, registered, refused } = state
  return { rows, registered, refused, report: refused === 0 ? undefined : files.report, isDone }
}
