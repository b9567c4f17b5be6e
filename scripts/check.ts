import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { readOptions } from './options.ts'
import { interruptible } from './signals.ts'

const HELP = `npm run check [-- --without-tests]: types, lint, unused code, tests (boundaries and documents among them), API documents
and their compatibility with the last release, templates, files of GitHub, Renovate and Compose by their schemas, and a fuzzer that
knows the API documents.

The checks of templates and schemas and the fuzzer need python3, the comparison with the last release needs Go, and all of them the network for
their tools. Without python3 or Go they are reported as not run, which is a failure with CI=true.
`

const ROOT = join(import.meta.dirname, '..')

interface Step {
  name: string
  command: string
  args: string[]
  /** its output is shown while it runs, and its last line has the counts */
  isSuite?: boolean
  /** it runs beside the steps after it, and its output is shown at its end: the longest step uses one core of the two that CI has */
  isBeside?: boolean
  /** the missing tool that the step needs, if any */
  missing?: string | undefined
}

interface Outcome { passed: number, failed: number }

const COUNTS = /^(?:\w+: )?(\d+) passed, (\d+) failed$/gm

/** Runs a command and returns its output, which can also be shown as it comes. */
function run ({ command, args, isSuite = false, isBeside = false }: Step, signal: AbortSignal): Promise<{ status: number, output: string }> {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: ROOT, signal, env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const listen = (chunk: string) => {
      output += chunk
      if (isSuite && !isBeside) process.stdout.write(chunk)
    }
    child.stdout.setEncoding('utf8').on('data', listen)
    child.stderr.setEncoding('utf8').on('data', listen)
    child.once('error', error => { output += error.message })
    child.once('close', status => resolve({ status: status ?? 1, output }))
  })
}

/** The counts in the last such line of a suite's output. A step without counts is one check. */
function outcomeOf ({ isSuite }: Step, status: number, output: string): Outcome {
  const [, passed, failed] = isSuite ? [...stripVTControlCharacters(output).matchAll(COUNTS)].at(-1) ?? [] : []
  if (passed === undefined) return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  // A suite that exits with an error counts as failed, even when none of its tests failed.
  return { passed: Number(passed), failed: status === 0 ? Number(failed) : Math.max(1, Number(failed)) }
}

/** The name of a program that is not installed. */
function missing (program: string, version: string): string | undefined {
  return spawnSync(program, [version], { stdio: 'ignore' }).status === 0 ? undefined : program
}

async function main (signal: AbortSignal, withoutTests: boolean): Promise<number> {
  const needsPython = missing('python3', '--version')
  const node = (name: string, ...args: string[]): Step => ({ name, command: process.execPath, args })
  const steps: Step[] = [
    node('types', 'node_modules/typescript/bin/tsc', '--noEmit'),
    node('types of the sign-in page', 'node_modules/typescript/bin/tsc', '--noEmit', '-p', 'examples/web/src'),
    node('lint', 'node_modules/eslint/bin/eslint.js', '.'),
    node('unused code and packages', 'node_modules/knip/bin/knip.js'),
    ...(withoutTests ? [] : [{ ...node('tests', 'scripts/test.ts', '--all'), isSuite: true }]),
    { name: 'template', command: 'bash', args: ['.ci/template-checks'], isSuite: true, isBeside: true, missing: needsPython },
    node('API documents', 'node_modules/@redocly/cli/bin/cli.js', 'lint'),
    node('API documents, by Spectral', 'node_modules/@stoplight/spectral-cli/dist/index.js', 'lint', 'docs/openapi/*.json', 'docs/asyncapi.json', '--fail-severity', 'hint'),
    { name: 'files of GitHub, Renovate and Compose', command: 'bash', args: ['.ci/schemas'], isSuite: true, missing: needsPython },
    { name: 'compatibility', command: 'bash', args: ['.ci/compatibility'], isSuite: true, missing: missing('go', 'version') },
    { name: 'fuzzer', command: 'bash', args: ['.ci/fuzz'], isSuite: true, missing: needsPython }
  ]

  const lines: string[] = []
  const total: Outcome = { passed: 0, failed: 0 }

  async function take (step: Step): Promise<void> {
    if (step.missing !== undefined) {
      lines.push(`${step.name}: not run (${step.missing} is missing)`)
      console.log(lines.at(-1))
      if (process.env['CI'] === 'true') total.failed++
      return
    }
    console.log(`${step.name} …`)
    const start = performance.now()
    const { status, output } = await run(step, signal)
    const outcome = outcomeOf(step, status, output)
    if ((status !== 0 && !step.isSuite) || step.isBeside) console.log(output.trimEnd())
    total.passed += outcome.passed
    total.failed += outcome.failed
    if (signal.aborted) return
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    lines.push(`${step.name}: ${status === 0 ? 'ok' : 'FAILED'}${step.isSuite ? `, ${outcome.passed} passed, ${outcome.failed} failed` : ''} (${seconds} s)`)
    console.log(lines.at(-1))
  }

  const beside: Promise<void>[] = []
  for (const step of steps) {
    if (signal.aborted) break
    if (step.isBeside) beside.push(take(step))
    else await take(step)
  }
  await Promise.all(beside)
  if (signal.aborted) return 130
  console.log(`\n${lines.join('\n')}\n${total.passed} passed, ${total.failed} failed`)
  return total.failed === 0 ? 0 : 1
}

const { 'without-tests': withoutTests = false } = readOptions(HELP, { 'without-tests': { type: 'boolean' } })
process.exitCode = await interruptible(async signal => await main(signal, withoutTests === true))
