import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { JAVA_NEEDED, javaVersion } from '../local/dynamodb.ts'
import { findRedis, REDIS_COMMANDS } from '../local/redis.ts'
import { readArguments, refuse } from './options.ts'
import { interruptible } from './signals.ts'
import { boundCompiled, COMPILED } from './test/compiled.ts'
import { isSlow, run } from './test/run.ts'
import { tally } from './test/tap.ts'
import { watchTests } from './test/watch.ts'

/** Whether the tests use the engines of compose.yaml (test/compose.ts). All files share them, so they run one after the other. */
const usesCompose = (): boolean => process.env['ENGINES'] === 'compose'

const HELP = `npm test [-- options] [file or folder …]: every test but the slow ones, or those of the files and folders, on real engines.

Slow tests (*.slow.test.ts) are about this repository's tools, and not about what the service does: they build, copy and
deploy it, and start browsers. A run that leaves them out says so; CI runs them all.

  npm test                                    every test but the slow ones
  npm test -- --slow                          the slow ones
  npm test -- --all                           both
  npm test -- test/local                      the tests in a folder, slow ones too
  npm test -- test/local --grep=/inbox/       tests in it whose names match
  npm test -- test/local/inbox.test.ts --only tests with { only: true }

  --watch         after each change runs the files that it touches, until Ctrl-C: of the named ones those that import what has
                  changed; otherwise those that mirror its path or import it other than through the app
  --bail          start no other file after a failure
  --jobs=N        run N files at once (default: two more than there are cores, at most 8; one more with slow files)
  --timeout=N     seconds for one file (default: 600)

  ENGINES=compose npm test                    on the engines of compose.yaml, as far as files can share them (docs/compose.md)

Needs redis-server or valkey-server, and installs it with apt-get if possible. With Java ${JAVA_NEEDED} the tests of
tables also run on AWS's DynamoDB Local; with CI=true Java is required.
`

/** Seconds for one file. The slowest start a JVM, a browser, or the whole system a dozen times, on cores that others keep busy. */
const TIMEOUT = 600

/** Installs Redis if that is possible without a prompt: as root on Debian and its derivatives. */
function installRedis (): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return
  console.log('Installing redis-server with apt-get …')
  // No prompts, and the package must not start a Redis on port 6379.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...args: string[]) => spawnSync('apt-get', ['-qq', '-y', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  const install = () => apt('install', '--no-install-recommends', 'redis-server')
  if (!install() && apt('update')) install() // the package list may be missing or old
}

const isTest = (name: string) => /\.test\.[cm]?[jt]s$/.test(name)

/** The tests in a folder. Files that help them are not run, and neither are those of a module that test/house adds to a copy. */
const testsIn = (folder: string): string[] => globSync('**/*.test.ts', { cwd: folder, exclude: ['**/fixtures/**'] }).filter(isTest).sort().map(file => join(folder, file))

const expand = (argument: string): string[] => statSync(argument, { throwIfNoEntry: false })?.isDirectory() ? testsIn(argument) : [argument]

/** Whether a file runs on engines that it did not start: it does not stop them, nor look into them, nor start others. */
function canShareEngines (file: string): boolean {
  const text = readFileSync(file, 'utf8')
  return /\bstartEngines\(/.test(text) && !/engines\.sqs\b|faults\.(?:dynamodb|redis)|\bstart(?:Dynamodb|Sqs|Redis|System|TcpProxy)\(|dynamodbEngines\(/.test(text)
}

async function main (signal: AbortSignal): Promise<number> {
  const { positionals, values: { all = false, slow = false, grep, only = false, bail = false, watch = false, ...numbers } } = readArguments(HELP, {
    all: { type: 'boolean' },
    slow: { type: 'boolean' },
    grep: { type: 'string', short: 'g', multiple: true },
    only: { type: 'boolean' },
    bail: { type: 'boolean', short: 'b' },
    watch: { type: 'boolean', short: 'w' },
    jobs: { type: 'string', short: 'j' },
    timeout: { type: 'string', short: 't', default: String(TIMEOUT) }
  })
  // Quick files often wait. Slow ones start browsers and builds, which keep a core each.
  const usual = usesCompose() ? 1 : Math.min(8, availableParallelism() + (slow || all ? 1 : 2))
  const [jobs, timeout] = [Number(numbers.jobs ?? usual), Number(numbers.timeout)]
  if (!(jobs >= 1) || !(timeout > 0)) refuse('--jobs and --timeout are numbers')
  for (const argument of positionals) {
    if (statSync(argument, { throwIfNoEntry: false }) === undefined) refuse(`${argument} does not exist`)
    if (expand(argument).length === 0) refuse(`${argument} has no tests`)
  }
  const every = positionals.length === 0 ? testsIn('test') : [...new Set(positionals.flatMap(expand))]
  const wanted = positionals.length > 0 || all ? every : every.filter(file => isSlow(file) === slow)
  const files = usesCompose() && positionals.length === 0 ? wanted.filter(canShareEngines) : wanted

  if (findRedis() === undefined) installRedis()
  if (findRedis() === undefined) {
    console.error(`The tests need ${REDIS_COMMANDS.join(' or ')}: install Redis or Valkey (Debian: apt-get install redis-server, macOS: brew install redis).`)
    return 1
  }
  const java = await javaVersion() ?? 0
  const lacksJava = java < JAVA_NEEDED

  boundCompiled()
  const env = {
    ...process.env,
    // Node keeps what it has compiled: 0.3 s of CPU less for each file, and for each process that a file starts.
    NODE_COMPILE_CACHE: COMPILED,
    TAP_TIMEOUT: String(timeout),
    ...(grep === undefined ? {} : { TAP_GREP: grep.join('\n') }),
    ...(only ? { TAP_ONLY: '1' } : {}),
    ...(bail ? { TAP_BAIL: '1' } : {})
  }

  /** Runs files, prints their failures, and counts. */
  async function runAndShow (files: string[], signal: AbortSignal) {
    // tap counts levels of tests from that of the process.
    const shares = files.length > 1 && !slow && grep === undefined && !only
    const outcomes = await run({ files, shares, env, jobs, timeout, bail, signal })
    const failures = outcomes.flatMap(outcome => outcome.failures)
    if (failures.length > 0 && !signal.aborted) console.log(`${failures.join('\n\n')}\n`)
    return { ...tally({ isOk: true, children: outcomes.map(({ node }) => node) }), files: files.length, left: files.length - outcomes.length }
  }
  function report ({ passed, failed, left, files }: { passed: number, failed: number, left: number, files: number }): void {
    if (left > 0) console.log(`${left} of ${files} files: not run`)
    console.log(`${passed} passed, ${failed} failed`)
  }
  if (watch) {
    await watchTests({
      files,
      isNamed: positionals.length > 0,
      signal,
      run: async (files, signal) => {
        const counts = await runAndShow(files, signal)
        if (!signal.aborted) report(counts)
      }
    })
    return 0
  }
  const counts = await runAndShow(files, signal)
  if (signal.aborted) return 1
  const left = every.length - wanted.length
  if (files.length < wanted.length) console.log(`${wanted.length - files.length} files that use no engine, or start, stop or look into one: not run with ENGINES=compose`)
  if (lacksJava) console.log(`DynamoDB Local: not run (Java ${java === 0 ? 'is missing' : `${java} is too old`}, ${JAVA_NEEDED} is needed)`)
  if (left > 0 && !slow) console.log(`${left} slow files: not run (npm test -- --slow runs them, npm test -- --all everything)`)
  report(counts)
  return counts.failed > 0 || counts.left > 0 || (lacksJava && process.env['CI'] === 'true') ? 1 : 0
}

process.exitCode = await interruptible(main)
