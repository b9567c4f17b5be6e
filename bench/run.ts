import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Interruption } from '../scripts/command.ts'
import { readArguments, refuse } from '../scripts/options.ts'
import { abortOnSignals } from '../scripts/signals.ts'
import { calls } from './calls.ts'
import { cold } from './cold.ts'
import { BenchError, type Benchmark, type Context, type Table } from './lib/bench.ts'
import { installPackages } from './lib/install.ts'
import { BUILD, ROOT } from './lib/paths.ts'
import { renderPage, renderPictures, renderText, withSimulation } from './lib/report.ts'
import { losses, readResults, section, writeResults, type Results } from './lib/results.ts'
import { local } from './local.ts'
import { overload } from './overload.ts'
import { pipeline } from './pipeline.ts'
import { DEFAULT_USERS, scale } from './scale.ts'
import { server } from './server.ts'
import { simulate, simulationOf } from './simulate.ts'
import { warm } from './warm.ts'

/** Every benchmark, in the order in which they run. A new one is a file, and a line here. */
const BENCHMARKS: Record<string, Benchmark> = { calls, pipeline, scale, cold, warm, server, overload, local, simulate }

const HELP = `npm run bench [-- COMMAND …] [--small] [--only NAMES] [--users N] [--bundle DIR]: this service beside other ways to write it.

${Object.entries(BENCHMARKS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

Without a command, all of them run, in about twenty minutes. The results are written to bench/results.json,
docs/benchmarks.md and docs/capacity.md. The contenders' packages are installed into bench/node_modules first.

  --small        a short run of each, in less than a minute: writes nothing, and prints a warning for each ratio
                 that is more than a quarter worse than the committed one
  --only NAMES   these contenders only, comma separated, for example --only hono,service; writes nothing
  --users N      users in the largest table of scale, up to 1000000; with fewer than 100000 it writes nothing
  --bundle DIR   a contender of your own for cold: a directory with an index.mjs that exports a handler and
                 answers POST /users and GET /health like the others; writes nothing
`

interface Request { names: string[], isSmall: boolean, only: Set<string> | undefined, bundles: string[], users: number | undefined }

function usersIn (text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const users = /^\d{1,7}$/.test(text) ? Number(text) : NaN
  if (!(users >= 1000 && users <= 1_000_000)) refuse('--users is not a number from 1000 to 1000000')
  return users
}

/** The contenders that `--only` names. */
function contendersIn (text: string | undefined, benchmarks: string[]): Set<string> | undefined {
  if (text === undefined) return undefined
  const known = new Set(benchmarks.flatMap(name => BENCHMARKS[name]!.contenders ?? []))
  if (known.size === 0) refuse(`--only selects nothing in ${benchmarks.join(', ')}`)
  const unknown = text.split(',').find(name => !known.has(name))
  if (unknown !== undefined) refuse(`Unknown contender '${unknown}'`, `expected one or more of ${[...known].join(', ')}`)
  return new Set(text.split(','))
}

/** Reads the arguments. A wrong one ends the script with one line and exit code 2. */
function readRequest (): Request {
  const { values, positionals } = readArguments(HELP, { small: { type: 'boolean' }, only: { type: 'string' }, users: { type: 'string' }, bundle: { type: 'string', multiple: true } })
  const unknown = positionals.find(name => !(name in BENCHMARKS))
  if (unknown !== undefined) refuse(`Unknown benchmark '${unknown}'`)
  const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals
  return {
    names,
    isSmall: values.small === true,
    only: contendersIn(values.only, names),
    bundles: values.bundle ?? [],
    users: usersIn(values.users)
  }
}

const isTerminal = process.stderr.isTTY

/** On a terminal the progress is one line that changes. In a log, each step is a line. */
let said = ''
function say (text: string): void {
  if (text === said) return
  said = text
  process.stderr.write(isTerminal ? `\r\u001b[K${text} …` : `${text} …\n`)
}
const clearLine = () => { if (isTerminal) process.stderr.write('\r\u001b[K') }

const teardowns: (() => unknown)[] = []
async function tearDown () {
  for (const step of teardowns.splice(0).reverse()) await step()
}

/** Writes results, and every page that is made of them. */
async function write (sections: Results): Promise<void> {
  const results = await writeResults(sections)
  const capacity = join(ROOT, 'docs/capacity.md')
  await writeFile(capacity, withSimulation(await readFile(capacity, 'utf8'), simulationOf(results)))
  const page = join(ROOT, 'docs/benchmarks.md')
  const pictures = join(dirname(page), 'benchmarks')
  await mkdir(pictures, { recursive: true })
  await writeFile(page, renderPage(results))
  for (const [name, picture] of Object.entries(renderPictures(results))) await writeFile(join(pictures, name), picture)
}

/** Runs one benchmark, and ends what it has started. */
async function run (name: string, { small, only, bundles, users }: Pick<Context, 'small' | 'only' | 'bundles' | 'users'>): Promise<Table[]> {
  const benchmark = BENCHMARKS[name]!
  const context: Context = { small, only, bundles, users, say: text => say(`${name}${small ? ', small' : ''}: ${text}`), teardown: step => { teardowns.push(step) } }
  try {
    if (benchmark.needsPackages(context)) await installPackages(context)
    return await benchmark.run(context)
  } finally {
    await tearDown()
    clearLine()
  }
}

async function main ({ names, isSmall, only, bundles, users }: Request): Promise<void> {
  const began = performance.now()
  await mkdir(BUILD, { recursive: true })
  const writes = !isSmall && only === undefined && bundles.length === 0 && !(users !== undefined && users < DEFAULT_USERS)
  const warnings: string[] = []
  for (const name of names) {
    const tables = await run(name, { small: isSmall, only, bundles, users })
    console.log(`${tables.map(renderText).join('\n\n')}\n`)
    if (isSmall) warnings.push(...losses(tables, readResults()[name]?.small ?? {}))
    if (writes) await write(BENCHMARKS[name]!.isDerived === true ? {} : { [name]: section(name, tables, await run(name, { small: true, only, bundles, users })) })
  }
  if (writes) console.log('written to bench/results.json, docs/benchmarks.md and docs/capacity.md')
  for (const warning of warnings) console.log(`WARNING: worse than committed: ${warning}`)
  console.log(`${names.join(', ')}: ${Math.round((performance.now() - began) / 1000)} s`)
}

// Benchmarks do not look at a signal: what they started is stopped while they run, and they fail.
const signal = abortOnSignals()
signal.addEventListener('abort', () => {
  clearLine()
  const { message, exitCode } = signal.reason as Interruption
  console.error(message)
  void tearDown().finally(() => process.exit(exitCode))
})

try {
  await main(readRequest())
  process.exitCode = 0
} catch (error) {
  if (signal.aborted) await new Promise(() => {}) // what the signal ended has failed; the signal's handler exits
  clearLine()
  console.error(error instanceof BenchError ? `bench: ${error.message}` : error)
  process.exitCode = 1
} finally {
  await tearDown()
}
