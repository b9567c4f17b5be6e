import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Failure, reportFailure, UsageError } from './command.ts'
import { checkFree } from './new-module/clashes.ts'
import { editsOf, type Edit } from './new-module/edits.ts'
import { namesOf, rename, type Names } from './new-module/names.ts'
import { removeFile, snapshot } from './new-module/snapshot.ts'
import { METRIC_LIST } from './metric-list.ts'
import { readArguments } from './options.ts'
import { abortOnSignals } from './signals.ts'

const HELP = `npm run new:module -- NAME [options]: a module of its own, with tests that pass.

NAME is what the module holds, in the plural: orders, purchase-orders. The module has version 2 of four routes (create, list
and read one's own, delete), a table with its permissions and alarm, an event, two variables, its part of the export, the
erasure with the account, documents and tests. Then npm run env, openapi and client are run.

  --singular NAME   the singular, where the plural does not say it: people --singular person, caches --singular cache
  --dry-run         lists what would be written, and writes nothing
  --remove          takes the module out again: its files, and what it has in other files
  --force           also when git has changes in the files that are edited; with --remove, also when the module has been
                    changed: its files are lost, and other files keep what was changed there

Everything is checked before anything is written. When a step fails, or on Ctrl-C, all files are as they were before.
docs/contributing/add-a-module.md goes on from here.
`

const ROOT = join(import.meta.dirname, '..')
const TEMPLATE = join(import.meta.dirname, 'new-module/template')

/** What follows from the files by a command. */
const GENERATORS = [
  { name: 'env', writes: '.env.example, README.md' },
  { name: 'openapi', writes: 'docs/, src/server/metric-list.ts' },
  { name: 'client', writes: 'clients/' }
]
const GENERATED = ['.env.example', 'README.md', 'docs', 'clients', 'template.yaml', METRIC_LIST]

const sources = globSync('**/*.ts', { cwd: TEMPLATE }).sort().map(file => ({ file, text: readFileSync(join(TEMPLATE, file), 'utf8') }))

/** The files of a module, by their paths. */
const filesOf = (names: Names) => new Map(sources.map(({ file, text }) => [rename(file, names), rename(text, names)]))

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

function edited (file: string, edits: Edit[], how: keyof Edit): string {
  return edits.reduce((content, edit) => {
    try {
      return edit[how](content)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      throw new Failure(`${file}: ${error.message}. Nothing was changed${how === 'apply' ? '; scripts/new-module/edits.ts says where the text belongs' : '. Remove the module by hand there, then repeat this with --force'}`)
    }
  }, read(file))
}

/** The same, as far as the file still has what was written. */
function revertedIfThere (file: string, edits: Edit[]): { content: string, left: number } {
  let [content, left] = [read(file), 0]
  for (const edit of edits) {
    try {
      content = edit.revert(content)
    } catch {
      left++
    }
  }
  return { content, left }
}

interface Change {
  /** by file; `undefined` removes it */
  files: Map<string, string | undefined>
  notes: string[]
}

function creation (names: Names): Change {
  checkFree(ROOT, names, sources.map(({ text }) => text))
  const edits = [...editsOf(names)].map(([file, edits]) => [file, edited(file, edits, 'apply')] as const)
  return { files: new Map([...filesOf(names), ...edits]), notes: [] }
}

function removal (names: Names, isForced: boolean): Change {
  const { many: { kebab } } = names
  const folders = [`src/modules/${kebab}`, `test/modules/${kebab}`]
  if (!existsSync(join(ROOT, folders[0]!))) throw new UsageError(`There is no src/modules/${kebab}`)
  const written = filesOf(names)
  const own = globSync(folders.map(folder => `${folder}/**/*`), { cwd: ROOT, withFileTypes: true }).filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1)).sort()
  if (!own.includes(`src/modules/${kebab}/index.ts`) || !read(`src/modules/${kebab}/index.ts`).includes(`config: { ${names.many.constant}_TABLE: table`)) throw new UsageError(`src/modules/${kebab} was not written by npm run new:module`)
  const changed = own.filter(file => read(file) !== written.get(file))
  if (changed.length > 0 && !isForced) throw new Failure(`${kebab} has been changed since it was written (${changed.join(', ')}). Nothing was removed; --force removes it all the same`)
  const files: Change['files'] = new Map(own.map(file => [file, undefined]))
  const notes: string[] = []
  for (const [file, edits] of editsOf(names)) {
    const { content, left } = isForced ? revertedIfThere(file, edits) : { content: edited(file, edits, 'revert'), left: 0 }
    files.set(file, content)
    if (left > 0) notes.push(`${file}: ${left} of ${edits.length} texts of ${kebab} have been changed or removed, look there`)
  }
  return { files, notes }
}

/** Files with changes that git does not have; none when this is no work tree of git. */
function uncommitted (files: string[]): string[] {
  const { status, stdout } = spawnSync('git', ['status', '--porcelain', '--', ...files], { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.split('\n').filter(line => line !== '').map(line => line.slice(3)) : []
}

function write ({ files }: Change): void {
  for (const [file, content] of files) {
    if (content === undefined) {
      removeFile(ROOT, file)
      continue
    }
    mkdirSync(dirname(join(ROOT, file)), { recursive: true })
    writeFileSync(join(ROOT, file), content)
  }
}

const describe = ({ files }: Change): string[] => [...files].map(([file, content]) => `  ${content === undefined ? 'removes' : existsSync(join(ROOT, file)) ? 'changes' : 'writes '} ${file}`)

/** Writes the change and runs the generators; afterwards everything is done, or nothing. */
async function carryOut (change: Change): Promise<void> {
  const kept = snapshot(ROOT, [...new Set([...GENERATED, ...change.files.keys()])])
  const signal = abortOnSignals('Stopped. All files are as they were before')
  // A reader of our output that has gone, as head does, must not end us between two files.
  process.stdout.on('error', () => {})
  try {
    write(change)
    for (const { name, writes } of GENERATORS) {
      console.log(`npm run ${name}: ${writes}`)
      // A process group of its own: Ctrl-C ends it by our signal, after which the files are put back.
      const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`)], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
      const end = () => child.kill('SIGKILL')
      signal.addEventListener('abort', end)
      const [[status], , errors] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, text(child.stdout), text(child.stderr)])
      signal.removeEventListener('abort', end)
      signal.throwIfAborted()
      if (status !== 0) throw new Failure(`npm run ${name} failed, so all files are as they were before:\n${errors.trim()}`)
    }
  } catch (error) {
    kept.restore()
    throw error
  }
}

async function main (): Promise<void> {
  const { values, positionals } = readArguments(HELP, { singular: { type: 'string' }, 'dry-run': { type: 'boolean' }, remove: { type: 'boolean' }, force: { type: 'boolean' } })
  const [name, ...rest] = positionals
  if (name === undefined || rest.length > 0) throw new UsageError('Expected one name, as in npm run new:module -- orders: --help says more')
  const names = namesOf(name, values['singular'] as string | undefined)
  const { kebab } = names.many
  const [isForced, isRemoval] = [values['force'] === true, values['remove'] === true]
  const change = isRemoval ? removal(names, isForced) : creation(names)
  if (values['dry-run'] === true) {
    console.log(`npm run new:module -- ${kebab}${isRemoval ? ' --remove' : ''} would do this (one of ${names.many.text} is: ${names.one.text}):\n${describe(change).join('\n')}\nand then run ${GENERATORS.map(({ name }) => `npm run ${name}`).join(', ')}`)
    return
  }
  const dirty = isRemoval ? [] : uncommitted([...change.files.keys()])
  if (dirty.length > 0 && !isForced) throw new Failure(`Files that would be changed have changes that are not committed (${dirty.join(', ')}). Commit or stash them, or add --force`)
  console.log(`${kebab}, and one of them: ${names.one.text}\n${describe(change).join('\n')}`)
  await carryOut(change)
  for (const note of change.notes) console.log(note)
  console.log(isRemoval
    ? `${kebab} is gone.`
    : `${kebab} is there. Next:
  npm test -- test/modules/${kebab}   its tests
  npm start                           try it at /docs
docs/contributing/add-a-module.md shows how to go on.`)
}

try {
  await main()
} catch (error) {
  reportFailure(error, stack => stack)
}
