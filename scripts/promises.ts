import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Finding } from '../test/promise.ts'
import { readArguments, refuse } from './options.ts'
import { CATALOGUE, PROMISES } from './promises/catalogue.ts'
import { commitOf, describeMachine, isKept, writeFigures, type Figures } from './promises/figures.ts'
import { findHolders } from './promises/holders.ts'
import { judge, type Outcome } from './promises/judge.ts'
import { interruptible } from './signals.ts'

const HELP = `npm run promises [-- NUMBER … --half --list]: runs the tests of the promises at full size, on real engines.

Prints each figure as it is measured and a table at the end, and writes them to docs/promises.md. With numbers it runs
only these promises and replaces only their rows. Exit code 1 when a promise is not kept.

  --half  half the workload, as in CI; writes nothing
  --list  lists the promises and the test files that report their figures; runs nothing
`

const ROOT = resolve(import.meta.dirname, '..')

/** Seconds for one test file. Most take less than a minute. */
const FILE_TIMEOUT = 2400

/** Milliseconds between two lines of progress while a test file reports nothing. */
const PATIENCE = 30_000

const line = ({ promise, part, figure, holds }: Finding) => `  ${holds ? 'holds ' : 'BROKEN'}  ${promise}${part === undefined ? '' : `, ${part}`}: ${figure}`

/** Runs one test file, and prints what it reports at once. */
async function runFile (file: string, size: 'half' | 'full', signal: AbortSignal): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-promises-'))
  const path = join(dir, 'findings.jsonl')
  const began = performance.now()
  const seconds = () => Math.round((performance.now() - began) / 1000)
  const findings: Finding[] = []
  let spoke = Date.now()
  function look () {
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
    for (const text of lines.slice(findings.length)) {
      const finding = JSON.parse(text) as Finding
      findings.push(finding)
      console.log(line(finding))
      spoke = Date.now()
    }
    if (Date.now() - spoke < PATIENCE) return
    spoke = Date.now()
    console.log(`  … ${seconds()} s`)
  }
  const watch = setInterval(look, 500)
  try {
    const child = spawn(process.execPath, ['scripts/test.ts', `--timeout=${FILE_TIMEOUT}`, file], {
      cwd: ROOT, env: { ...process.env, PROMISES_SIZE: size, PROMISES_FINDINGS: path }, stdio: ['ignore', 'pipe', 'pipe']
    })
    // A terminal sends its Ctrl-C to the test file too; a kill reaches only this process.
    const stop = () => child.kill('SIGTERM')
    signal.addEventListener('abort', stop)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
    const status = await new Promise<number | null>(resolve => { child.once('close', resolve) })
    signal.removeEventListener('abort', stop)
    look()
    const [, count = '1'] = /^\d+ passed, (\d+) failed$/m.exec(output) ?? []
    const failed = status === 0 ? 0 : Math.max(1, Number(count))
    if (failed > 0 && !signal.aborted) console.log(output.trimEnd().replace(/^/gm, '  '))
    return { file, findings, failed, seconds: seconds() }
  } finally {
    clearInterval(watch)
    rmSync(dir, { recursive: true, force: true })
  }
}

async function main (signal: AbortSignal): Promise<number> {
  const { values: { half, list }, positionals } = readArguments(HELP, { half: { type: 'boolean' }, list: { type: 'boolean' } })
  const unknown = positionals.find(text => !PROMISES.some(({ number }) => String(number) === text))
  if (unknown !== undefined) refuse(`There is no promise ${unknown}`, '--list lists them')
  const holders = findHolders(ROOT)
  const holdersOf = (number: number) => [...holders].filter(([, numbers]) => numbers.includes(number)).map(([file]) => file)
  if (list === true) {
    for (const { title, promises } of CATALOGUE) {
      console.log(`${title}\n`)
      for (const { number, text } of promises) console.log(`${String(number).padStart(4)}  ${text}\n      ${holdersOf(number).join(' ') || 'NO TEST reports it'}\n`)
    }
    return 0
  }

  const wanted = PROMISES.filter(({ number }) => positionals.length === 0 || positionals.includes(String(number)))
  const files = [...new Set(wanted.flatMap(({ number }) => holdersOf(number)))]
  const size = half === true ? 'half' : 'full'
  const run = { date: new Date().toISOString().slice(0, 10), commit: commitOf(ROOT), machine: describeMachine() }
  console.log(`${wanted.length} promises at ${size} size, ${files.length} test files, ${run.commit}, on ${run.machine}`)

  const outcomes = new Map<string, Outcome>()
  const figures: Figures = {}
  for (const [i, file] of files.entries()) {
    console.log(`\n[${i + 1}/${files.length}] ${file}: ${wanted.filter(({ number }) => holdersOf(number).includes(file)).map(({ number }) => number).join(', ')}`)
    const outcome = await runFile(file, size, signal)
    if (signal.aborted) break
    console.log(`  ${outcome.seconds} s`)
    outcomes.set(file, outcome)
  }
  for (const { number } of wanted) {
    const own = holdersOf(number)
    if (signal.aborted && !(own.length > 0 && own.every(file => outcomes.has(file)))) continue
    const mine = own.map(file => outcomes.get(file)!)
    figures[number] = { ...run, seconds: mine.reduce((sum, { seconds }) => sum + seconds, 0), ...judge(number, mine) }
  }
  if (size === 'full') writeFigures(ROOT, figures)
  if (signal.aborted) return 130

  console.log('\nTimes of the test files:')
  for (const { file, seconds } of [...outcomes.values()].sort((a, b) => b.seconds - a.seconds)) console.log(`${String(seconds).padStart(6)} s  ${file}`)
  console.log('')
  const counts = { kept: 0, broken: 0, notReached: 0 }
  for (const { number, text, notReached } of wanted) {
    const figure = figures[number]!
    const outcome = isKept(figure) ? 'kept' : notReached === undefined || figure.problem !== undefined ? 'broken' : 'notReached'
    counts[outcome]++
    console.log(`${String(number).padStart(4)}  ${{ kept: 'kept       ', broken: 'BROKEN     ', notReached: 'not reached' }[outcome]}  ${text}`)
    for (const { part, figure: found, holds } of figure.parts) console.log(`      ${holds ? 'holds ' : 'BROKEN'}  ${part === undefined ? '' : `${part}: `}${found}`)
    if (figure.problem !== undefined) console.log(`      ${figure.problem}`)
    if (outcome === 'notReached') console.log(`      ${notReached}`)
  }
  console.log(`\n${counts.kept} kept, ${counts.broken} broken, ${counts.notReached} known not to be reached`)
  if (size === 'full') console.log('docs/promises.md has the figures')
  console.log(`${counts.kept + counts.notReached} passed, ${counts.broken} failed`)
  return counts.broken === 0 ? 0 : 1
}

process.exitCode = await interruptible(main)
