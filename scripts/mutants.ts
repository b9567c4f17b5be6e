import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { progress, type Interruption } from './command.ts'
import { hashOf, instrument, makeCopy, type Mutant } from './mutants/copy.ts'
import { reasonFor } from './mutants/explained.ts'
import { createHot } from './mutants/hot.ts'
import { createJudge } from './mutants/judge.ts'
import { isLeft, readRecords, recordsOf, writeRecords } from './mutants/record.ts'
import { runTest } from './mutants/run.ts'
import { draw, isNoticed, scoreOf, summary, tolerance, type Outcome } from './mutants/score.ts'
import { MAX_TESTS, testsOf } from './mutants/tests.ts'
import { readArguments } from './options.ts'
import { abortOnSignals } from './signals.ts'

const HELP = `npm run mutants -- [path …] [--sample N] [--seed N] [--jobs N] [--budget N] [--left] [--again] [--cold]
       npm run mutants -- --note

Changes the code of src in small ways, one at a time, and runs the tests of the changed file: each change should make one fail.
Without a path it tries all files of src that are not recorded, one after the other, which takes hours. Results are kept in
.cache/mutants, so that a run that was stopped goes on where it ended, and a change is tried again only when its file or its tests
have changed.

  path         a file or folder of src, recorded or not
  --sample N   N changes, drawn at random. Fails when their score is below the one in docs/testing.md by more than chance explains
  --seed N     draws the same ones again; without it, the seed is printed
  --jobs N     processes at the same time; 1 without it. They wait more than they compute: three for each core are busy
  --budget N   seconds of CPU for the tests of one change, cheapest first; 4 without it
  --left       only what the records say was neither noticed nor explained, after tests were added for it
  --again      forgets the results that are kept, and the records
  --note       tries nothing, and records the results of whole files in docs/testing/mutants.json and docs/testing.md
  --cold       each test in a process of its own, which takes ten times as long: a second opinion, whose results are not kept
`

const ROOT = join(import.meta.dirname, '..')
const CACHE = join(ROOT, '.cache/mutants')
const RESULTS = join(CACHE, 'results.jsonl')

interface Kept extends Outcome { proof: string }

function fail (message: string): never {
  console.error(message)
  process.exit(2)
}

function number (value: unknown, name: string, least = 1): number | undefined {
  if (value === undefined) return undefined
  if (!/^\d{1,9}$/.test(String(value)) || Number(value) < least) fail(`--${name} is not a number of at least ${least}: --help lists the options`)
  return Number(value)
}

function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Not tried: what is generated, and what only runs in the artifact, which cannot be built with mutants in it. */
const LEFT_OUT = ['src/server/metric-list.ts', 'src/lambda/loader.ts']

/** The files with mutants: all others of src. */
const SOURCES = globSync('src/**/*.ts', { cwd: ROOT, exclude: LEFT_OUT }).sort()

/** The files of src that the arguments name. */
function filesOf (paths: string[]): string[] {
  if (paths.length === 0) return SOURCES
  return paths.flatMap(path => {
    const name = path.replace(/^\.\//, '').replace(/\/$/, '')
    const found = statSync(join(ROOT, name), { throwIfNoEntry: false })?.isDirectory() === true ? SOURCES.filter(file => file.startsWith(`${name}/`)) : SOURCES.filter(file => file === name)
    if (found.length === 0) fail(`${path} is no file or folder of src with code`)
    return found
  })
}

/** Results of earlier runs, the last one of each mutant. */
function readResults (): Map<string, Kept> {
  if (!existsSync(RESULTS)) return new Map()
  return new Map(readFileSync(RESULTS, 'utf8').split('\n').filter(line => line.endsWith('}')).map(line => JSON.parse(line) as Kept).map(kept => [kept.mutant.key, kept]))
}

const { values, positionals } = readArguments(HELP, {
  sample: { type: 'string' }, seed: { type: 'string' }, jobs: { type: 'string' }, budget: { type: 'string' }, left: { type: 'boolean' }, again: { type: 'boolean' }, note: { type: 'boolean' }, cold: { type: 'boolean' }
})
const sample = number(values['sample'], 'sample')
const seed = number(values['seed'], 'seed', 0) ?? Math.floor(Math.random() * 1e9)
const jobs = number(values['jobs'], 'jobs') ?? 1
const budgetMs = 1000 * (number(values['budget'], 'budget') ?? 4)
const files = filesOf(positionals)
const say = progress()

const signal = abortOnSignals('stopped; the same command goes on from here')
// Also where what was aborted never settles.
process.once('exit', () => { if (signal.aborted) process.exitCode = (signal.reason as Interruption).exitCode })

// All files have their mutants in the copy, whatever is tried, so that what a test reaches need not be measured again.
const instrumented = await instrument(ROOT, SOURCES)
// By process, because another run may try other files. Those of runs that were killed are removed.
const copies = Array.from({ length: jobs }, (_, i) => join(CACHE, `copy-${process.pid}-${i + 1}`))
mkdirSync(CACHE, { recursive: true })
for (const copy of globSync('copy-*', { cwd: CACHE })) if (!isRunning(Number(copy.split('-')[1]))) rmSync(join(CACHE, copy), { recursive: true, force: true })
process.once('exit', () => { for (const copy of copies) rmSync(copy, { recursive: true, force: true, maxRetries: 3 }) })
if (values['note'] !== true) for (const copy of copies) makeCopy(ROOT, copy, instrumented)

// Of the copy, because the project may change during the run.
const place = values['note'] === true ? ROOT : copies[0]!

const related = new Map<string, string[]>()
const testsFor = ({ file }: Mutant): string[] => {
  if (!related.has(file)) related.set(file, testsOf(place, file))
  return related.get(file)!
}

/** Tries the tests on mutants as a second opinion: each in a process of its own, which costs ten times as much. */
async function judgeCold (next: () => Mutant | undefined, copy: string, keep: (outcome: Outcome) => void): Promise<void> {
  const sound = new Map<string, boolean>()
  const isSound = async (test: string) => {
    if (!sound.has(test)) sound.set(test, (await runTest(copy, test, '', { signal })).result === 'passed')
    return sound.get(test)!
  }
  for (let mutant = next(); mutant !== undefined; mutant = next()) {
    const start = Date.now()
    const tried: string[] = []
    let outcome: Outcome | undefined
    for (const test of testsFor(mutant)) {
      if (tried.length === MAX_TESTS || outcome !== undefined) break
      const { result, reached } = await runTest(copy, test, mutant.id, { signal })
      if (result === 'passed' && reached.length > 0) tried.push(test)
      // A test that fails without the mutant too has not noticed it.
      if (result !== 'passed' && await isSound(test)) outcome = { mutant, status: result === 'failed' ? 'killed' : 'timeout', tests: [test], ms: Date.now() - start }
    }
    keep(outcome ?? { mutant, status: tried.length === 0 ? 'unreached' : 'survived', tests: tried, ms: Date.now() - start })
  }
}

async function main (): Promise<number> {
  const proofs = new Map<string, string>()
  const proofOf = (tests: string[]) => {
    const name = tests.join()
    if (!proofs.has(name)) proofs.set(name, hashOf(tests.map(test => `${test} ${existsSync(join(place, test)) ? readFileSync(join(place, test), 'utf8') : ''}`).join()))
    return proofs.get(name)!
  }
  const records = readRecords(ROOT, instrumented)
  const onlyLeft = values['left'] === true
  const recorded = sample !== undefined || positionals.length > 0 || values['again'] === true || values['note'] === true || onlyLeft ? {} : records
  const all = instrumented.mutants.filter(mutant => files.includes(mutant.file) && recorded[mutant.file] === undefined && (!onlyLeft || (isLeft(records, mutant) && reasonFor(mutant) === undefined)))
  const known = Object.keys(recorded).length
  if (known > 0) console.log(`${known} of ${files.length} files are recorded in docs/testing/mutants.json, and are not tried`)
  const chosen = sample === undefined ? all : draw(all, sample, seed)
  if (sample !== undefined) console.log(`${chosen.length} of ${all.length} mutants, seed ${seed}`)

  const isCold = values['cold'] === true
  const kept = values['again'] === true || isCold ? new Map<string, Kept>() : readResults()
  const outcomes: Outcome[] = []
  const waiting: Mutant[] = []
  for (const mutant of chosen) {
    const found = kept.get(mutant.key)
    // What was left may have been tried on some of its tests only.
    if (found !== undefined && (!onlyLeft || isNoticed(found)) && found.proof === proofOf(found.status === 'killed' ? found.tests : testsFor(mutant))) outcomes.push({ ...found, mutant })
    else waiting.push(mutant)
  }
  if (values['note'] === true) {
    const added = recordsOf(outcomes, instrumented)
    const written = writeRecords(ROOT, added, outcomes, instrumented)
    const { size } = new Set(instrumented.mutants.map(({ file }) => file))
    console.log(`${Object.keys(added).length} files were recorded, and ${Object.keys(written).length} of ${size} are. A file is recorded when all its mutants were tried.`)
    return 0
  }
  if (outcomes.length > 0) console.log(`${outcomes.length} results are kept from earlier runs`)
  const keep = (outcome: Outcome) => {
    outcomes.push(outcome)
    if (!isCold) appendFileSync(RESULTS, `${JSON.stringify({ ...outcome, proof: proofOf(outcome.status === 'killed' ? outcome.tests : testsFor(outcome.mutant)) })}\n`)
    say(`${outcomes.length} of ${chosen.length} mutants, ${outcomes.filter(({ status }) => status === 'survived' || status === 'unreached').length} not noticed, at ${outcome.mutant.file}`)
  }
  // File by file, because only whole files are recorded, in a random order, so that a run that is stopped has seen a bit of everything.
  const byFile = [...Map.groupBy(waiting, ({ file }) => file).values()]
  const inOrder = sample === undefined ? draw(byFile, byFile.length, 1).flat() : waiting
  const next = () => inOrder.shift()
  const judge = createJudge({ root: copies[0]!, cache: CACHE, instrumented, testsFor, budgetMs })
  await Promise.all(copies.map(async copy => {
    if (isCold) return await judgeCold(next, copy, keep)
    const hot = createHot(copy, signal)
    try {
      await judge(next, hot, keep)
    } finally {
      hot.stop()
    }
  }))
  console.log(summary(outcomes))
  if (sample === undefined) return 0
  const noted = /^Score: ([\d.]+) %/m.exec(readFileSync(join(ROOT, 'docs/testing.md'), 'utf8'))?.[1]
  if (noted === undefined) fail('docs/testing.md notes no score')
  const least = Number(noted) / 100 - tolerance(Number(noted) / 100, chosen.length)
  const isKept = scoreOf(outcomes) >= least
  console.log(`docs/testing.md notes ${noted} %; a sample of ${chosen.length} may have ${(100 * least).toFixed(1)} %${isKept ? '' : `: tests were lost, or code without tests was added. The same sample again: npm run mutants -- --sample ${sample} --seed ${seed}`}`)
  return isKept ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}
