import { join } from 'node:path'
import { readLogFiles } from '../../local/log-files.ts'
import { Failure } from '../command.ts'

export interface Found {
  /** lines of the log that may be about an id */
  lines: string[]
  /** for messages */
  place: string
}

/** The lines of npm start that mention an id. */
export function readLocalLog (id: string): Found {
  const place = join(process.env['LOCAL_DATA_DIR']?.trim() || '.local', 'log')
  const lines = readLogFiles(place)
  if (lines === undefined) throw new Failure(`There is no log in ${place}: npm start writes it. LOCAL_DATA_DIR names another directory, --stack a stack`)
  return { lines: lines.filter(line => line.includes(id)), place }
}
