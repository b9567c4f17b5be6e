import { Instrumenter } from '@stryker-mutator/instrumenter'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'

/** A change of the code that a test should notice. */
export interface Mutant {
  /** its number in the copy */
  id: string
  file: string
  line: number
  column: number
  /** the kind of change, such as ConditionalExpression */
  kind: string
  /** the code that is changed, and what it becomes */
  code: string
  replacement: string
  /** the same in every run, as long as its file stays the same */
  key: string
}

export interface Instrumented {
  mutants: Mutant[]
  /** the code of each file with all its mutants in it, each behind a switch */
  files: Map<string, string>
  /** of each file as it is */
  hashes: Map<string, string>
}

/** Files that are not copied. */
const LEFT_OUT = new Set(['node_modules', '.git', 'dist', '.local', '.tap', '.aws-sam', '.cache', '.build', 'coverage', '.env'])

/** Texts for readers of the API documents. test/docs compares the documents with the committed ones, so every change of them is noticed. */
const DOCUMENTATION = new Set(['description', 'summary', 'examples', 'example', 'title', 'externalDocs'])

const LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])

interface Node { type: string, name?: string, operator?: string, callee?: Node, property?: Node, object?: Node, key?: Node }
interface Path { node: Node, parent: Node, listKey?: string }

const nameOf = (node: Node | undefined): string | undefined => node?.type === 'Identifier' ? node.name : undefined

/** Whether a node is called with texts that only people read: a log line, or an error that is in no catalogue. */
function isForPeople ({ type, callee }: Node): boolean {
  if (type === 'NewExpression') return nameOf(callee) === 'Error'
  return type === 'CallExpression' && LEVELS.has(nameOf(callee?.property) ?? '') && [nameOf(callee?.object), nameOf(callee?.object?.property)].includes('log')
}

const ignorers = [{
  shouldIgnore ({ node, parent, listKey }: Path) {
    // To compare with another text is never to be equal, which a mutant of the condition tries.
    if (node.type === 'StringLiteral' && parent.type === 'BinaryExpression' && /^[!=]==$/.test(parent.operator ?? '')) return 'the same as a condition that is never met'
    if (node.type === 'ObjectProperty' && DOCUMENTATION.has(nameOf(node.key) ?? '')) return 'text of a document'
    if (['StringLiteral', 'TemplateLiteral'].includes(node.type) && listKey === 'arguments' && isForPeople(parent)) return 'text for people'
    return undefined
  }
}]

const silent = new Proxy({}, { get: (_, name) => String(name).startsWith('is') ? () => false : () => {} })

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

const ONE_LINE = 100
const short = (code: string): string => {
  const line = code.replaceAll(/\s+/g, ' ').trim()
  return line.length > ONE_LINE ? `${line.slice(0, ONE_LINE)} …` : line
}

/**
 * Mutants without those that another one stands for. `a === b` becomes `true` and `false`, so the test that `a !== b` needs is needed
 * anyway; of the two that the instrumenter makes of `<`, the second is the opposite. A block of one call becomes empty, as does the call.
 */
function different (mutants: Mutant[]): Mutant[] {
  const at = ({ file, line, column, code }: Mutant) => `${file}:${line}:${column}:${code}`
  const opposites = new Set([...Map.groupBy(mutants.filter(({ kind }) => kind === 'EqualityOperator'), at).values()].map(some => some.at(-1)))
  const blocks = Map.groupBy(mutants.filter(({ kind }) => kind === 'BlockStatement'), ({ file }) => file)
  const isOfBlock = ({ file, line, kind, code }: Mutant) => kind === 'CallExpression' && blocks.get(file)?.some(block => block.code === `{ ${code} }` && line - block.line <= 1) === true
  return mutants.filter(mutant => !opposites.has(mutant) && !isOfBlock(mutant))
}

/** All mutants of the given files, which are paths below `root`. */
export async function instrument (root: string, files: string[]): Promise<Instrumented> {
  const sources = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]))
  const instrumenter = new Instrumenter(silent as ConstructorParameters<typeof Instrumenter>[0])
  const input = [...sources].map(([name, content]) => ({ name, content, mutate: true }))
  const result = await instrumenter.instrument(input, { plugins: null, ignorers: ignorers as never, excludedMutations: [] })
  const mutants = result.mutants.filter(({ status }) => status !== 'Ignored').map(({ id, fileName: file, location: { start, end }, mutatorName: kind, replacement }) => {
    const source = sources.get(file)!
    const lines = source.split('\n')
    const offset = (at: { line: number, column: number }) => lines.slice(0, at.line).reduce((sum, line) => sum + line.length + 1, 0) + at.column
    return {
      id,
      file,
      line: start.line + 1,
      column: start.column + 1,
      kind,
      code: short(source.slice(offset(start), offset(end))),
      replacement: short(replacement),
      key: hashOf(JSON.stringify([file, hashOf(source), start, end, replacement]))
    }
  })
  const hashes = new Map([...sources].map(([file, source]) => [file, hashOf(source)]))
  return { mutants: different(mutants), files: new Map(result.files.map(({ name, content }) => [name, content])), hashes }
}

/** Makes a copy of the project whose files have their mutants in them. None is active. */
export function makeCopy (root: string, to: string, { files }: Instrumented): void {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true })
  const wanted = (path: string) => !LEFT_OUT.has(basename(path))
  for (const name of readdirSync(root).filter(wanted)) cpSync(join(root, name), join(to, name), { recursive: true, filter: wanted })
  symlinkSync(resolve(root, 'node_modules'), join(to, 'node_modules'))
  mkdirSync(join(to, '.mutant'))
  writeFileSync(join(to, '.mutant/active'), '')
  const switchFile = join(to, '.mutant/switch.ts')
  cpSync(join(import.meta.dirname, 'switch.ts'), switchFile)
  for (const [file, content] of files) {
    const path = relative(join(to, file, '..'), switchFile)
    // Counting what is reached costs time, and only runs without a mutant need it.
    const quick = content.replace('function cover() {', "function cover() {\n    if (ns.activeMutant !== '') return;")
    writeFileSync(join(to, file), `import '${path.startsWith('.') ? path : `./${path}`}'\n__loading__.begin()\n${quick}\n__loading__.end()\n`)
  }
}
