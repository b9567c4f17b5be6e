import { once } from 'node:events'
import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { UserService } from '../../clients/typescript/src/index.ts'
import { progress, UsageError } from '../command.ts'
import { abortOnSignals } from '../signals.ts'
import { cellFor } from './csv.ts'
import { usersOf } from './lookup.ts'
import type { Options } from './options.ts'
import { INTERRUPTED, number } from './output.ts'
import { formatOf } from './rows.ts'

/** Columns of a CSV. */
const FIELDS = ['id', 'email', 'name', 'locale', 'status', 'role', 'createdAt', 'updatedAt', 'version'] as const

/** Writes users into a file, or to the terminal. */
export async function exportUsers (service: UserService, { status, out, format, json }: Options): Promise<void> {
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
      await put(as === 'csv' ? FIELDS.map(field => cellFor(user[field])).join(',') : JSON.stringify(user))
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
