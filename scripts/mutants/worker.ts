import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Test as TapTest } from 'tap'
import type { Answer, Message, Order, Stryker, Subtest } from './hot.ts'

// A process in the copy that runs test files again and again, each time with all modules of the project loaded anew and one mutant
// active. What costs most of a test's time is done once: Node's start, the packages, and the compiler's work on them. hot.ts starts it.

const STATE = join(process.cwd(), '.mutant')
const PROJECT = `${pathToFileURL(process.cwd()).href}/`
const TAP = import.meta.resolve('tap')

/** Times that the code of the active mutant may run: a mutant that makes a loop endless ends here, and not by a timeout. */
const HIT_LIMIT = 2_000_000

/** Coverage by subtest. `top` is what the file does outside of its subtests, `static` what modules do while they are loaded. */
const stryker: Stryker = { activeMutant: '', hitCount: 0, hitLimit: HIT_LIMIT, currentTestId: 'top', mutantCoverage: { static: {}, perTest: {} } }
let test: TapTest
Object.assign(globalThis, { __stryker__: stryker, __tapOfRun__: () => test })

const sources = new Map<string, string>()
function sourceOf (url: string): string {
  const path = fileURLToPath(url)
  let source = sources.get(path)
  if (source === undefined) sources.set(path, source = stripTypeScriptTypes(readFileSync(path, 'utf8')))
  return source
}

// A module of the project is loaded once a run: its address carries the run's number. Packages are loaded once.
registerHooks({
  resolve (specifier, context, next) {
    if (specifier === 'async-hook-domain') return { url: 'no-domains:', format: 'module', shortCircuit: true }
    const run = /\?run=\d+$/.exec(context.parentURL ?? '')?.[0]
    if (run === undefined) return next(specifier, context)
    if (specifier === 'tap') return { url: `tap-of-run:${run}`, format: 'module', shortCircuit: true }
    const found = next(specifier, context)
    return found.url.startsWith(PROJECT) && !found.url.includes('/node_modules/') ? { ...found, url: `${found.url.replace(/\?.*/, '')}${run}` } : found
  },
  load (url, context, next) {
    if (url === 'no-domains:') return { format: 'module', shortCircuit: true, source: 'export class Domain { destroy () {} }' }
    if (url.startsWith('tap-of-run:')) return { format: 'module', shortCircuit: true, source: `export * from '${TAP}'\nexport const t = globalThis.__tapOfRun__()\nexport default t` }
    if (/\.ts\?run=\d+$/.test(url)) return { format: 'module', shortCircuit: true, source: sourceOf(url) }
    return next(url, context)
  }
})

const { Test } = await import('tap')

const send = (message: Message): void => { process.send!(message) }

const MAX_TEXT = 800

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What processes that the test started have reached, see switch.ts. */
function reachedElsewhere (): string[] {
  const files = globSync('reached*', { cwd: STATE }).map(file => join(STATE, file))
  const ids = files.flatMap(file => readFileSync(file, 'utf8').split('\n').filter(id => id !== ''))
  for (const file of files) rmSync(file, { force: true })
  return ids
}

interface Assertion { ok: boolean, todo?: unknown, skip?: unknown, name: string, diag?: unknown }
const isFailure = ({ ok, todo, skip }: Assertion): boolean => !ok && !todo && !skip

async function run ({ file, mutant, wanted, number }: Order): Promise<Answer> {
  stryker.activeMutant = mutant
  stryker.hitCount = 0
  stryker.currentTestId = 'top'
  stryker.mutantCoverage.static = {}
  stryker.mutantCoverage.perTest = {}
  reachedElsewhere()
  writeFileSync(join(STATE, 'active'), mutant)
  const start = cpu()
  let failure: Answer['failure']
  const fail = (text: string, subtest?: number) => {
    if (failure !== undefined) return
    failure = { text: text.slice(0, MAX_TEXT), ...(subtest === undefined ? {} : { subtest }) }
    send({ number, failure })
  }
  const watch = (t: TapTest, name: string, subtest?: number) => {
    const parser = t.parser as unknown as { on (event: 'assert', listener: (assertion: Assertion) => void): void }
    parser.on('assert', assertion => {
      if (isFailure(assertion)) fail(`${name}: ${assertion.name} ${JSON.stringify(assertion.diag ?? '')}`, subtest)
    })
  }
  const subtests: Subtest[] = []
  const root = new Test({ name: 'run', timeout: 0 }) as unknown as TapTest
  root.resume()
  const result = await root.test('file', { timeout: 0 }, async (t: TapTest) => {
    test = t
    watch(t, 'the file')
    const original = t.test.bind(t) as (...args: unknown[]) => Promise<unknown>
    let count = 0
    // Subtests that are not wanted, or come after a failure, do not run. They run one after the other, so that each reaches what it reaches.
    const chosen = (...args: unknown[]) => {
      const at = args.findIndex(arg => typeof arg === 'function')
      const name = typeof args[0] === 'string' ? args[0] : String(count)
      const index = count++
      const body = args[at] as ((t: TapTest) => unknown) | undefined
      if (body === undefined) return original(...args)
      if (wanted !== undefined && !wanted.includes(index)) return Promise.resolve(null)
      const subtest: Subtest = { index, name, cpuMs: 0, reached: [] }
      args[at] = async (t: TapTest) => {
        // The first one begins in the middle of its file: what follows it there is not of it.
        await turn()
        if (failure !== undefined) return
        watch(t, name, index)
        subtests.push(subtest)
        subtest.cpuMs = cpu()
        stryker.currentTestId = `subtest ${index}`
        await body(t)
      }
      return original(...args).finally(() => {
        subtest.cpuMs = Math.round(cpu() - subtest.cpuMs)
        if (mutant === '') subtest.reached = [...Object.keys(stryker.mutantCoverage.perTest[`subtest ${index}`] ?? {}), ...reachedElsewhere()]
        // The next one may have started.
        if (stryker.currentTestId === `subtest ${index}`) stryker.currentTestId = 'top'
      })
    }
    Object.defineProperty(t, 'test', { value: chosen })
    Object.defineProperty(t, 'jobs', { get: () => 1, set () {} })
    try {
      await import(`${PROJECT}${file}?run=${number}`)
    } catch (error) {
      fail(`the file: ${(error as Error).stack ?? String(error)}`)
      throw error
    }
  }) as { ok: boolean } | null
  root.end()
  if (result?.ok !== true) fail('a teardown or the file failed')
  const { static: unknown, perTest } = stryker.mutantCoverage
  const isReached = stryker.hitCount > 0 || (mutant !== '' && reachedElsewhere().includes(mutant))
  stryker.activeMutant = ''
  return {
    number,
    isPassed: failure === undefined,
    ...(failure === undefined ? {} : { failure }),
    isReached,
    cpuMs: Math.round(cpu() - start),
    subtests,
    top: mutant === '' ? Object.keys(perTest['top'] ?? {}) : [],
    static: mutant === '' ? [...Object.keys(unknown), ...Object.keys(perTest['static'] ?? {})] : [],
    rssMb: Math.round(process.memoryUsage.rss() / 2 ** 20)
  }
}

process.on('message', (order: Order) => {
  // A failure here is one of this program.
  run(order).then(answer => send({ number: order.number, answer }), (error: Error) => {
    send({ number: order.number, failure: { text: error.stack ?? error.message } })
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))
send({ isReady: true })
