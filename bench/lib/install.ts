import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BenchError, type Context } from './bench.ts'
import { tailOf } from './children.ts'
import { BENCH } from './paths.ts'

const LOCK = join(BENCH, 'package-lock.json')
const MODULES = join(BENCH, 'node_modules')
/** A copy of the lock file that was installed. */
const MARK = join(MODULES, '.installed-lock.json')

async function isInstalled (): Promise<boolean> {
  const [lock, mark] = await Promise.all([readFile(LOCK, 'utf8'), readFile(MARK, 'utf8').catch(() => undefined)])
  return lock === mark
}

/**
 * Installs the contenders' packages from their own lock file into bench/node_modules, once for each version of that file.
 *
 * @throws {BenchError} with the end of npm's output
 */
export async function installPackages ({ say, teardown }: Pick<Context, 'say' | 'teardown'>): Promise<void> {
  if (await isInstalled()) return
  const began = performance.now()
  await rm(MODULES, { recursive: true, force: true })
  // The npm that runs this script, with the Node that runs it: an older one would skip packages.
  const npm = process.env['npm_execpath']
  const [command, ...first] = npm === undefined ? ['npm'] : [process.execPath, npm]
  const child = spawn(command!, [...first, 'ci', '--prefix', BENCH, '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: BENCH, stdio: ['ignore', 'pipe', 'pipe'] })
  teardown(() => child.kill())
  const output = tailOf(child.stdout, child.stderr)
  const timer = setInterval(() => say(`installing the contenders' packages, ${Math.round((performance.now() - began) / 1000)} s`), 2000)
  say("installing the contenders' packages")
  try {
    const [code] = await once(child, 'close') as [number | null]
    if (code !== 0) throw new BenchError(`The contenders' packages cannot be installed: …${output().slice(-400)}`)
  } finally {
    clearInterval(timer)
  }
  await mkdir(MODULES, { recursive: true })
  await cp(LOCK, MARK)
  say(`installed the contenders' packages in ${Math.round((performance.now() - began) / 1000)} s`)
}
