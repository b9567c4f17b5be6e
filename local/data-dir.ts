import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { dotenvLine } from './dotenv.ts'
import { replaceFile } from './replace-file.ts'
import { StartError } from './start-error.ts'

/** Increased when older data directories can no longer be read. */
const VERSION = 1

/** Files of the directory are read by their owner only: one of them holds a secret. */
const PRIVATE = { mode: 0o600 }

export interface DataDir {
  path (name: string): string
  /** the root secret for local use, made once, so that sessions survive a restart */
  rootSecret (): string
  /** Writes the environment that connects another process to the engines here. */
  writeEnv (env: Record<string, string>): void
  /** Removes the environment and releases the directory for the next start. */
  release (): void
}

/** The error for a data directory, or a part of it, that cannot be used. */
export function unusable (path: string, error: unknown): StartError {
  return new StartError(`LOCAL_DATA_DIR: ${path} cannot be used (${(error as Error).message.split('\n')[0]})`)
}

/** Like `mkdir -p`. Node's own version loops forever under /proc, where no directory can be made. */
function makeDir (dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 }) // it holds mails and a secret
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      if (!statSync(dir).isDirectory()) throw new Error('it is not a directory')
      return
    }
    if (code !== 'ENOENT' || dirname(dir) === dir) throw error
    makeDir(dirname(dir))
    mkdirSync(dir, { mode: 0o700 })
  }
}

function readIfThere (file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Locks a data directory for this process.
 *
 * @throws {StartError} when another process uses it, a newer version wrote it, or it cannot be written
 */
export function takeDataDir (dir: string): DataDir {
  const path = (name: string) => join(dir, name)
  let lock: DatabaseSync
  try {
    makeDir(resolve(dir))
    // An SQLite lock, because the kernel releases it however the process ends. A pid file could be stale.
    lock = new DatabaseSync(path('lock'))
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    // The environment of an earlier run that was killed points to engines that no longer run.
    rmSync(path('env'), { force: true })
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) { // SQLITE_BUSY
      throw new StartError(`Another npm start already uses ${dir}: stop it, or set LOCAL_DATA_DIR to another directory`)
    }
    // SQLITE_CANTOPEN, whose message speaks of a database.
    throw unusable(dir, (error as { errcode?: number }).errcode === 14 ? new Error('no file can be written there') : error)
  }

  /** Runs an operation on a file of the directory; errors name the variable. */
  function withFile<T> (name: string, use: (file: string) => T): T {
    try {
      return use(path(name))
    } catch (error) {
      throw error instanceof StartError ? error : unusable(path(name), error)
    }
  }

  withFile('version', file => {
    const text = readIfThere(file)
    if (text === undefined) return replaceFile(file, `${VERSION}\n`, PRIVATE)
    if (!/^\d+\s*$/.test(text)) throw new Error('it is not a number')
    if (Number(text) > VERSION) throw new StartError(`LOCAL_DATA_DIR: ${dir} was written by a newer version of this project (${Number(text)}, here ${VERSION}): set LOCAL_DATA_DIR to another directory`)
  })

  return {
    path,
    rootSecret () {
      return withFile('jwt-secret', file => {
        const secret = readIfThere(file)?.trim()
        if (secret !== undefined && secret !== '') return secret
        replaceFile(file, randomBytes(32).toString('hex'), PRIVATE)
        return readFileSync(file, 'utf8')
      })
    },
    writeEnv (env) {
      const lines = Object.entries(env).map(([name, value]) => dotenvLine(name, value))
      withFile('env', file => replaceFile(file, `# Written by npm start while it runs. Connects another process to its engines.\n${lines.join('\n')}\n`, PRIVATE))
    },
    release () {
      rmSync(path('env'), { force: true })
      lock.close()
    }
  }
}
