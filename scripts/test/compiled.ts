import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Where Node keeps what it has compiled; scripts/require-node.cjs names it too. */
export const COMPILED = join(import.meta.dirname, '../../.cache/compiled')

/** Each version of a file adds one; 35,000 of them were 248 MB. */
const MAX_FILES = 50_000

/** Empties the folder when it has grown too large. What runs meanwhile compiles again. */
export function boundCompiled (directory = COMPILED, maxFiles = MAX_FILES): void {
  try {
    if (readdirSync(directory, { recursive: true }).length > maxFiles) rmSync(directory, { recursive: true, force: true })
  } catch {
    // It is not there yet, or another run is emptying it.
  }
}
