import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

export const ROOT = new URL('../../', import.meta.url).pathname
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

/** The npm commands that are programs of others. */
export const OTHERS: Record<string, string> = { types: 'tsc --noEmit -p examples/web/src && tsc --noEmit', lint: 'eslint .' }
export const others = Object.fromEntries(Object.entries(scripts).filter(([, command]) => !/\bnode .*\.ts\b/.test(command)))
/** The npm commands that are scripts of this project, as the arguments that Node gets. */
export const ours = Object.entries(scripts).flatMap(([name, command]): [string, string[]][] => /\bnode .*\.ts\b/.test(command) ? [[name, command.replace(/^.*?\bnode /, '').split(' ')]] : [])

/** Runs Node with arguments, and nothing of this environment but what is given. */
export async function run (t: Test, args: string[], { cwd = ROOT, env = {} }: { cwd?: string, env?: Record<string, string> } = {}) {
  const child = spawn(process.execPath, args, { cwd, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 })
  t.teardown(() => child.kill('SIGKILL'))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>(resolve => { child.once('close', resolve) })])
  return { code, stdout, stderr }
}
