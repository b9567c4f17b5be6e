import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashOf, type Instrumented, type Mutant } from './copy.ts'
import type { Hot, HotRun } from './hot.ts'
import type { Outcome } from './score.ts'
import { MAX_TESTS } from './tests.ts'

/** What a test file does without a mutant. */
interface Profile {
  isSound: boolean
  cpuMs: number
  subtests: { cpuMs: number, reached: ReadonlySet<string> }[]
  /** reached while modules are loaded or outside of subtests: any subtest may notice it */
  everywhere: ReadonlySet<string>
}

interface Stored { isSound: boolean, cpuMs: number, subtests: { cpuMs: number, reached: string[] }[], everywhere: string[] }

/** A way to try a mutant: the subtests of a file that reach it, run one after the other until one fails. */
interface Step { test: string, wanted: number[] | undefined, expectedMs: number }

/** After so many mutants that were noticed, the last test runs without one. If it fails then, the process was spoilt, and they are judged again. */
const CHECK_EVERY = 10

/** Subtests that cost more run alone, and after cheaper ones. */
const HEAVY_MS = 800

/** A failure that took so long may come from a busy machine. */
const SUSPICIOUS_MS = 8_000

interface JudgeOptions {
  root: string
  cache: string
  instrumented: Instrumented
  testsFor: (mutant: Mutant) => string[]
  /** CPU that is spent on one mutant: beyond it, another test is not begun. The tests before it notice nearly all that is noticed at all. */
  budgetMs: number
}

/** What is known about test files, shared by all processes. */
export function createJudge ({ root, cache, instrumented, testsFor, budgetMs }: JudgeOptions) {
  // A profile also depends on how it is made.
  const code = hashOf(JSON.stringify([...instrumented.files, readFileSync(join(import.meta.dirname, 'worker.ts'), 'utf8')]))
  const dir = join(cache, 'profiles')
  mkdirSync(dir, { recursive: true })
  const profiles = new Map<string, Promise<Profile>>()
  /** How often a test noticed a mutant of a file, and how often it did not. */
  const history = new Map<string, { killed: number, passed: number }>()
  const historyOf = ({ test, wanted }: Step, file: string) => {
    const key = `${test} ${wanted?.length === 1 ? wanted[0] : ''} ${file}`
    if (!history.has(key)) history.set(key, { killed: 0, passed: 0 })
    return history.get(key)!
  }
  /** Subtests that fail without those before them, by file. */
  const dependent = new Map<string, boolean>()
  const isDependentFile = new Set<string>()

  async function measure (test: string, hot: Hot): Promise<Profile> {
    const file = join(dir, `${hashOf(code + test + readFileSync(join(root, test), 'utf8'))}.json`)
    if (!existsSync(file)) {
      let run = await hot.run({ file: test, mutant: '' })
      if (run.result !== 'passed') {
        // A machine that is busy for a moment shall not lose a test for good.
        hot.stop()
        run = await hot.run({ file: test, mutant: '' })
      }
      const { result, answer, failure } = run
      if (result !== 'passed') console.log(`${test} is left out: without a mutant it ${result === 'failed' ? 'fails' : 'does not end'} in the copy: ${failure?.text ?? ''}`)
      const stored: Stored = {
        isSound: result === 'passed',
        cpuMs: answer?.cpuMs ?? 0,
        subtests: answer?.subtests.toSorted((a, b) => a.index - b.index).map(({ cpuMs, reached }) => ({ cpuMs, reached })) ?? [],
        everywhere: [...new Set([...answer?.top ?? [], ...answer?.static ?? []])]
      }
      writeFileSync(file, JSON.stringify(stored))
    }
    const { isSound, cpuMs, subtests, everywhere } = JSON.parse(readFileSync(file, 'utf8')) as Stored
    return { isSound, cpuMs, subtests: subtests.map(({ cpuMs, reached }) => ({ cpuMs, reached: new Set(reached) })), everywhere: new Set(everywhere) }
  }
  function profileOf (test: string, hot: Hot): Promise<Profile> {
    let found = profiles.get(test)
    if (found === undefined) profiles.set(test, found = measure(test, hot))
    return found
  }

  /** Mutants of each file: a subtest that reaches one of them uses the file. */
  const ofFile = Map.groupBy(instrumented.mutants, ({ file }) => file)

  /** The tests that reach a mutant, those first that notice most for their time. */
  async function stepsOf (mutant: Mutant, hot: Hot): Promise<Step[]> {
    const reaching: { test: string, profile: Profile, indices: number[], isEverywhere: boolean }[] = []
    for (const test of testsFor(mutant)) {
      if (reaching.length === MAX_TESTS) break
      const profile = await profileOf(test, hot)
      if (!profile.isSound) continue
      const indices = profile.subtests.flatMap(({ reached }, i) => reached.has(mutant.id) ? [i] : [])
      const isEverywhere = profile.everywhere.has(mutant.id)
      if (indices.length > 0 || isEverywhere) reaching.push({ test, profile, indices, isEverywhere })
    }
    const stepOf = ({ test, profile }: { test: string, profile: Profile }, indices: number[]): Step => {
      const cost = (some: number[]) => some.reduce((sum, i) => sum + profile.subtests[i]!.cpuMs, 0)
      const all = profile.subtests.map((_, i) => i)
      const wanted = isDependentFile.has(test) ? all.slice(0, (indices.at(-1) ?? 0) + 1) : indices
      return { test, wanted: wanted.length === all.length ? undefined : wanted, expectedMs: Math.max(10, profile.cpuMs - cost(all)) + cost(wanted) }
    }
    const worth = (step: Step) => {
      const { killed, passed } = historyOf(step, mutant.file)
      return (killed + 1) / (killed + passed + 2) / step.expectedMs
    }
    const first: Step[] = []
    const then: Step[] = []
    for (const one of reaching) {
      const { profile: { subtests }, indices, isEverywhere } = one
      const all = subtests.map((_, i) => i)
      const isHeavy = (i: number) => subtests[i]!.cpuMs > HEAVY_MS
      // What is loaded with the file shows where the file is used, and may show anywhere.
      const uses = isEverywhere ? all.filter(i => indices.includes(i) || ofFile.get(mutant.file)!.some(({ id }) => subtests[i]!.reached.has(id))) : indices
      const light = uses.filter(i => !isHeavy(i))
      if (light.length > 0 || subtests.length === 0) first.push(stepOf(one, light))
      for (const i of uses.filter(isHeavy)) first.push(stepOf(one, [i]))
      if (isEverywhere && uses.length < all.length) then.push(stepOf(one, all.filter(i => !uses.includes(i) && !isHeavy(i))))
    }
    return [...first.sort((a, b) => worth(b) - worth(a)), ...then.sort((a, b) => worth(b) - worth(a))]
  }

  /** Whether a failure is the mutant's: the subtest passes alone without it. */
  async function isOfMutant ({ test, wanted }: Step, { failure, wallMs }: HotRun, hot: Hot): Promise<boolean> {
    const index = failure?.subtest
    const isBusy = wallMs > SUSPICIOUS_MS
    if (index === undefined || wanted === undefined || isDependentFile.has(test)) {
      return !isBusy || (await hot.run({ file: test, mutant: '', ...(wanted === undefined ? {} : { wanted }) })).result === 'passed'
    }
    const key = `${test} ${index}`
    if (!dependent.has(key) || isBusy) {
      const { result } = await hot.run({ file: test, mutant: '', wanted: [index] })
      dependent.set(key, result !== 'passed')
    }
    return dependent.get(key) === false
  }

  async function judgeOnce (mutant: Mutant, hot: Hot): Promise<Outcome & { last?: Step }> {
    const start = performance.now()
    const outcome = (status: Outcome['status'], tests: string[], last?: Step) => ({ mutant, status, tests, ms: Math.round(performance.now() - start), cpuMs: spentMs, ...(isPartial ? { isPartial: true as const } : {}), ...(last === undefined ? {} : { last }) })
    let isPartial = false as boolean
    let spentMs = 0
    const tried: string[] = []
    for (let step of await stepsOf(mutant, hot)) {
      if (step.wanted?.length === 0) continue
      if (spentMs > 0 && spentMs + step.expectedMs > budgetMs) {
        isPartial = true
        continue
      }
      let run = await hot.run({ file: step.test, mutant: mutant.id, ...(step.wanted === undefined ? {} : { wanted: step.wanted }) }, step.expectedMs)
      if (run.result === 'failed' && !await isOfMutant(step, run, hot)) {
        // Its subtests need those before them, or the process was spoilt.
        isDependentFile.add(step.test)
        hot.stop()
        step = { ...step, wanted: undefined }
        run = await hot.run({ file: step.test, mutant: mutant.id }, step.expectedMs)
        if (run.result === 'failed' && !await isOfMutant(step, run, hot)) continue
      }
      spentMs += run.answer?.cpuMs ?? 0
      const past = historyOf(step, mutant.file)
      if (run.result === 'passed') {
        past.passed++
        if (!tried.includes(step.test)) tried.push(step.test)
        continue
      }
      past.killed++
      isPartial = false
      return outcome(run.result === 'failed' ? 'killed' : 'timeout', [step.test], step)
    }
    return outcome(tried.length === 0 ? 'unreached' : 'survived', tried)
  }

  /** Judges mutants in one process, and gives the outcomes that are certain. */
  return async function judge (next: () => Mutant | undefined, hot: Hot, keep: (outcome: Outcome) => void): Promise<void> {
    let open: { outcome: Outcome, last: Step }[] = []
    const settle = async () => {
      const { last } = open.at(-1) ?? {}
      if (last === undefined) return
      const { result } = await hot.run({ file: last.test, mutant: '', ...(last.wanted === undefined ? {} : { wanted: last.wanted }) })
      const again = result === 'passed' ? [] : open
      if (result === 'passed') for (const { outcome } of open) keep(outcome)
      open = []
      if (again.length === 0) return
      console.log(`${again.length} are judged again: ${last.test} fails in the process that noticed them`)
      for (const { outcome: { mutant } } of again) {
        hot.stop()
        const { last: _, ...outcome } = await judgeOnce(mutant, hot)
        keep(outcome)
      }
    }
    for (let mutant = next(); mutant !== undefined; mutant = next()) {
      const { last, ...outcome } = await judgeOnce(mutant, hot)
      if (last === undefined) keep(outcome)
      else open.push({ outcome, last })
      if (open.length >= CHECK_EVERY) await settle()
    }
    await settle()
  }
}
