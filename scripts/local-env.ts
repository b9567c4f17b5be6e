import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { UsageError } from './command.ts'

/** The environment of the running `npm start`. Throws a UsageError when none is running. */
export function readLocalEnv (): Record<string, string> {
  const file = `${process.env['LOCAL_DATA_DIR']?.trim() || '.local'}/env`
  if (!existsSync(file)) throw new UsageError(`No npm start is running (no ${file}): start it in another terminal`)
  return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>
}
