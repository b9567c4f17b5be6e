import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { dotenvLine } from './dotenv.ts'
import { StartError } from './start-error.ts'

export interface DataDir {
  path (name: string): string
  /** the root secret for local use, made once: sessions outlive a restart */
  rootSecret (): string
  /** Writes the environment that points another process at what runs here. */
  writeEnv (env: Record<string, string>): void
  /** Removes the environment and lets the next start in. */
  release (): void
}

/**
 * Takes a data directory for this process alone.
 *
 * @throws {StartError} when another process has it, or it cannot be written
 */
export function takeDataDir (dir: string): DataDir {
  const path = (name: string) => join(dir, name)
  let lock: DatabaseSync
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 }) // it holds mails and a secret
    // An SQLite lock, because the kernel gives it back however the process ends; a pid file would have to be doubted.
    lock = new DatabaseSync(path('lock'))
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) { // SQLITE_BUSY
      throw new StartError(`Another npm start already uses ${dir}: stop it, or set LOCAL_DATA_DIR to another directory`)
    }
    throw new StartError(`LOCAL_DATA_DIR: ${dir} cannot be used (${(error as Error).message})`)
  }

  return {
    path,
    rootSecret () {
      try {
        writeFileSync(path('jwt-secret'), randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      return readFileSync(path('jwt-secret'), 'utf8')
    },
    writeEnv (env) {
      const lines = Object.entries(env).map(([name, value]) => dotenvLine(name, value))
      writeFileSync(path('env'), `# Written by npm start while it runs: points another process at its engines.\n${lines.join('\n')}\n`, { mode: 0o600 })
    },
    release () {
      rmSync(path('env'), { force: true })
      lock.close()
    }
  }
}
