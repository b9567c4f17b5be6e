import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'

export const ROOT = resolve(import.meta.dirname, '../..')

/** By file: texts that stand in it once, and what takes their place. */
export type Edits = Record<string, [find: string, replacement: string][]>

/** Not copied: what .gitignore names, and what git keeps. */
const LEFT_OUT = new Set(['node_modules', '.git', 'dist', '.local', '.tap', '.aws-sam', '.cache', '.build', 'coverage', '.env'])

export interface Scratch {
  dir: string
  path (file: string): string
  read (file: string): string
  /** Changes files; a text that is not there once is an error, and names the file. */
  edit (edits: Edits): void
  /** Copies the files of a folder to where they stand in it. */
  add (folder: string): void
  remove (file: string): void
  /** Runs a file by Node in the copy. */
  run (args: string[], env?: Record<string, string>): Promise<{ status: number | null, output: string }>
}

/** A copy of the project to be changed, with its packages; gone when the test ends. */
export function makeScratch (t: { teardown (fn: () => unknown): void }): Scratch {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-scratch-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  cpSync(ROOT, dir, { recursive: true, filter: from => !LEFT_OUT.has(basename(from)) && !from.endsWith('.log') })
  symlinkSync(resolve(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const path = (file: string) => join(dir, file)
  const read = (file: string) => readFileSync(path(file), 'utf8')

  return {
    dir,
    path,
    read,

    edit (edits) {
      for (const [file, changes] of Object.entries(edits)) {
        let content = read(file)
        for (const [find, replacement] of changes) {
          const times = content.split(find).length - 1
          if (times !== 1) throw new Error(`${file} holds this text ${times} times, and not once: ${find}`)
          content = content.replace(find, () => replacement)
        }
        writeFileSync(path(file), content)
      }
    },

    add (folder) {
      cpSync(folder, dir, { recursive: true })
    },

    remove (file) {
      rmSync(path(file), { recursive: true })
    },

    async run (args, env = {}) {
      // As a command of its own: nothing of the test that runs it, and no compiled files of a copy that will be gone.
      const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TAP')))
      const child = spawn(process.execPath, args, { cwd: dir, env: { ...own, TAP_TIMEOUT: '100', NODE_DISABLE_COMPILE_CACHE: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
      t.teardown(() => child.kill('SIGKILL'))
      const [[status], stdout, stderr] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, text(child.stdout), text(child.stderr)])
      return { status, output: stdout + stderr }
    }
  }
}

/** What of a run's output says why it failed. */
export const failuresIn = (output: string): string => output.split('\n').filter(line => /^\s*not ok |error TS\d|^ {2,}[-+] |rror: /.test(line)).slice(0, 40).join('\n') || output.slice(-2000)

/** Types of the copy. */
export const TYPES = ['node_modules/typescript/bin/tsc', '--noEmit']

/** Every file of a copy, by its path. */
export function filesIn ({ dir }: Scratch): Map<string, string> {
  const found = globSync('**/*', { cwd: dir, withFileTypes: true, exclude: entry => entry.name === 'node_modules' || entry.name === '.cache' })
  return new Map(found.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name)).sort().map(path => [path.slice(dir.length + 1), readFileSync(path, 'latin1')]))
}

/** The files that are not the same. */
export const differences = (before: Map<string, string>, after: Map<string, string>) =>
  [...new Set([...before.keys(), ...after.keys()])].filter(file => before.get(file) !== after.get(file)).sort()
