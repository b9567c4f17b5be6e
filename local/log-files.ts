import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes of a file. Two are kept: some 60,000 lines, which is weeks of a developer's requests. */
const MAX_FILE = 8 * 1024 * 1024

const FILES = { current: 'app.ndjson', previous: 'app.1.ndjson' }

/**
 * Keeps the newest lines of the service's log in a directory, for `npm run trace`. A full file becomes the previous one. What
 * cannot be written is lost: a full disk stops no request.
 */
export function openLogFiles (directory: string, maxFile = MAX_FILE): { write: (line: string) => void } {
  const current = join(directory, FILES.current)
  let fd: number | undefined
  let size = 0

  function open (): number {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const opened = openSync(current, 'a', 0o600) // names no user, but says what they did
    size = fstatSync(opened).size
    return opened
  }

  return {
    write (line) {
      try {
        fd ??= open()
        size += writeSync(fd, line)
        if (size < maxFile) return
        closeSync(fd)
        fd = undefined
        renameSync(current, join(directory, FILES.previous))
      } catch {
        // The next line tries again.
      }
    }
  }
}

/** The lines that are kept in a directory, oldest first; `undefined` when there is no log. */
export function readLogFiles (directory: string): string[] | undefined {
  const files = [FILES.previous, FILES.current].map(name => join(directory, name)).filter(file => existsSync(file))
  if (files.length === 0) return undefined
  return files.flatMap(file => readFileSync(file, 'utf8').split('\n')).filter(line => line !== '')
}
