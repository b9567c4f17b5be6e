import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { dotenvLine } from './dotenv.ts'
import { StartError } from './start-error.ts'

/** Counts up when a data directory of before can no longer be read. */
const VERSION = 1

export interface DataDir {
  path (name: string): string
  /** the root secret for local use, made once: sessions outlive a restart */
  rootSecret (): string
  /** Writes the environment that points another process at what runs here. */
  writeEnv (env: Record<string, string>): void
  /** Removes the environment and lets the next start in. */
  release (): void
}

/** The line for a data directory, or a part of it, that cannot be used. */
export function unusable (path: string, error: unknown): StartError {
  return new StartError(`LOCAL_DATA_DIR: ${path} cannot be used (${(error as Error).message.split('\n')[0]})`)
}

/** Like `mkdir -p`. Not Node's own: under /proc, where no directory can be made, its loop never ends. */
function makeDir (dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 }) // it holds mails and a secret
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
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

/** Written beside and renamed into place: a crash or a full disk leaves no half of it. */
function writeWhole (file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/**
 * Takes a data directory for this process alone.
 *
 * @throws {StartError} when another process has it, a newer version wrote it, or it cannot be written
 */
export function takeDataDir (dir: string): DataDir {
  const path = (name: string) => join(dir, name)
  let lock: DatabaseSync
  try {
    makeDir(resolve(dir))
    // An SQLite lock, because the kernel gives it back however the process ends; a pid file would have to be doubted.
    lock = new DatabaseSync(path('lock'))
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    // What an earlier run that was killed left there leads nowhere.
    rmSync(path('env'), { force: true })
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) { // SQLITE_BUSY
      throw new StartError(`Another npm start already uses ${dir}: stop it, or set LOCAL_DATA_DIR to another directory`)
    }
    throw unusable(dir, error)
  }

  /** Runs something on a file of the directory; what it throws names the variable. */
  function withFile<T> (name: string, use: (file: string) => T): T {
    try {
      return use(path(name))
    } catch (error) {
      throw error instanceof StartError ? error : unusable(path(name), error)
    }
  }

  withFile('version', file => {
    const text = readIfThere(file)
    if (text === undefined) return writeWhole(file, `${VERSION}\n`)
    if (!/^\d+\s*$/.test(text)) throw new Error('it holds no number')
    if (Number(text) > VERSION) throw new StartError(`LOCAL_DATA_DIR: ${dir} was written by a newer version of this project (${Number(text)}, here ${VERSION}): set LOCAL_DATA_DIR to another directory`)
  })

  return {
    path,
    rootSecret () {
      return withFile('jwt-secret', file => {
        const secret = readIfThere(file)?.trim()
        if (secret !== undefined && secret !== '') return secret
        writeWhole(file, randomBytes(32).toString('hex'))
        return readFileSync(file, 'utf8')
      })
    },
    writeEnv (env) {
      const lines = Object.entries(env).map(([name, value]) => dotenvLine(name, value))
      withFile('env', file => writeWhole(file, `# Written by npm start while it runs: points another process at its engines.\n${lines.join('\n')}\n`))
    },
    release () {
      rmSync(path('env'), { force: true })
      lock.close()
    }
  }
}
