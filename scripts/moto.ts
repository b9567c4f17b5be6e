import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { replaceFile } from '../local/replace-file.ts'
import { readOptions } from './options.ts'
import { interruptible } from './signals.ts'

/** An emulator of many AWS services, the AWS CLI to call it with the commands of the documentation, and the SAM transform for its CloudFormation. */
const PINS = ['moto[server]==5.2.5', 'awscli==1.46.3', 'aws-sam-translator==1.115.0']

const CACHE = join(import.meta.dirname, '../.cache')
const VENV = join(CACHE, 'venv-aws')
const MARK = join(VENV, 'pins')

const isInstalled = () => existsSync(MARK) && readFileSync(MARK, 'utf8') === PINS.join(' ')

/** The directory with `moto_server` and `aws`, if they have been installed. */
export const installedMoto = (): string | undefined => isInstalled() ? join(VENV, 'bin') : undefined

/** Milliseconds after which an installation that has not ended was killed: it takes one to three minutes. */
const STALE = 600_000

const isStale = (lock: string): boolean => Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > STALE

/**
 * Installs moto and the AWS CLI once, in about a minute; needs python3 with venv and a package index.
 *
 * @returns the directory with `moto_server` and `aws`
 * @throws when they cannot be installed, with the end of pip's output
 */
export async function installMoto (signal?: AbortSignal): Promise<string> {
  if (isInstalled()) return join(VENV, 'bin')
  mkdirSync(CACHE, { recursive: true })
  const run = async (command: string, ...args: string[]) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
    const ended = new Promise<{ status: number | null, error?: Error }>(resolve => { child.once('error', error => resolve({ status: null, error })).once('close', status => resolve({ status })) })
    const [{ status, error }, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
    if (status !== 0) throw new Error(`moto cannot be installed: …${(error?.message ?? `${stdout}${stderr}`).trim().slice(-600)}`)
  }
  // A path of a virtual environment is written into its programs, so it is made in place. Two test files may do so at the same time.
  const lock = `${VENV}.lock`
  try {
    mkdirSync(lock)
  } catch {
    while (existsSync(lock)) {
      if (isStale(lock)) rmSync(lock, { recursive: true, force: true })
      else await sleep(200, undefined, { signal })
    }
    return await installMoto(signal)
  }
  try {
    rmSync(VENV, { recursive: true, force: true })
    await run('python3', '-m', 'venv', VENV)
    await run(join(VENV, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', ...PINS)
    replaceFile(MARK, PINS.join(' '))
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
  return join(VENV, 'bin')
}

const HELP = `npm run moto: installs moto, an emulator of AWS, and the AWS CLI once, in about a minute, for tests that need them. They are
kept in .cache, and the directory with their programs is printed. Needs python3 with venv, and the network.
`

if (import.meta.main) {
  readOptions(HELP)
  if (!isInstalled()) console.error(`Installing ${PINS.join(', ')}, which takes about a minute …`)
  await interruptible(async signal => { console.log(await installMoto(signal)) }).catch((error: Error) => {
    console.error(error.message)
    process.exit(1)
  })
}
