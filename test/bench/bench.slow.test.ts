import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { load } from '../../bench/cold.ts'
import { checkAnswer } from '../../bench/lib/answers.ts'
import type { Table } from '../../bench/lib/bench.ts'
import { buildLoader } from '../../bench/lib/build.ts'
import { descendants } from '../../bench/lib/processes.ts'
import { renderPage, renderPictures } from '../../bench/lib/report.ts'
import { comparedOf, losses, readResults } from '../../bench/lib/results.ts'
import { pairedRatio, shuffled } from '../../bench/lib/stats.ts'
import { peerTasks } from '../../bench/lib/work.ts'
import { until } from '../until.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Runs the benchmarks' command, to its end. */
function bench (...args: string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'bench/run.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const run = { child, stdout: '', stderr: '', code: once(child, 'close').then(([code]) => code as number | null) }
  child.stdout.setEncoding('utf8').on('data', (text: string) => { run.stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { run.stderr += text })
  return run
}

t.test('the page and its pictures are made of the committed results', async t => {
  const results = readResults()
  for (const name of ['calls', 'cold', 'pipeline', 'scale']) t.ok(name in results, name)
  t.equal(readFileSync(join(ROOT, 'docs/benchmarks.md'), 'utf8'), renderPage(results))
  const pictures = renderPictures(results)
  t.same(readdirSync(join(ROOT, 'docs/benchmarks')).sort(), Object.keys(pictures).sort())
  for (const [name, picture] of Object.entries(pictures)) t.equal(readFileSync(join(ROOT, 'docs/benchmarks', name), 'utf8'), picture, name)
})

const table = (better: 'lower' | 'higher' | undefined, values: Record<string, number>): Table => ({
  id: 'a', title: 'Cold start', note: '', columns: [{ key: 'calls', title: 'calls' }, { key: 'ratio', title: 'CPU ÷ article' }], rows: [{ name: 'this service', values }], ...(better === undefined ? {} : { better })
})

t.test('a loss of more than a quarter is reported with both figures, and a smaller one is not', async t => {
  const lost = (better: 'lower' | 'higher', was: number, is: number) => losses([table(better, { ratio: is })], comparedOf([table(better, { ratio: was })]))
  t.same(lost('lower', 1.2, 1.51), ['Cold start, this service, CPU ÷ article: 1.2 before, 1.51 now'])
  t.same(lost('lower', 1.2, 1.49), [])
  t.same(lost('lower', 1.2, 0.3), [])
  t.same(lost('higher', 2.6, 1.94), ['Cold start, this service, CPU ÷ article: 2.6 before, 1.94 now'])
  t.same(lost('higher', 2.6, 1.96), [])
  t.same(lost('higher', 2.6, 9), [])
  t.same(losses([table(undefined, { calls: 2 })], comparedOf([table(undefined, { calls: 1 })])), ['Cold start, this service, calls: 1 before, 2 now'], 'an exact figure must not change at all')
  t.same(losses([table(undefined, { calls: 100 / 3 })], comparedOf([table(undefined, { calls: 100 / 3 })])), [], 'results have four digits')
  t.same(losses([table('lower', { ratio: 9 })], {}), [], 'there is nothing to compare with')
  t.same(losses([{ ...table(undefined, { calls: 2 }), isCompared: false }], comparedOf([{ ...table(undefined, { calls: 1 }), isCompared: false }])), [], 'figures of one machine are not compared')
  const users = (ratio: number): Table[] => [{ ...table('lower', {}), hasPeers: false, rows: [{ name: '1,000 users', values: { ratio } }] }]
  t.same(losses(users(2), comparedOf(users(1))), ['Cold start, 1,000 users, CPU ÷ article: 1 before, 2 now'], 'every row is this service')
  const peer = (ratio: number): Table[] => [{ ...table('lower', {}), rows: [{ name: 'Hono', values: { ratio } }] }]
  t.same(losses(peer(9), comparedOf(peer(1))), [], 'a peer that got slower is no loss')
})

t.test('a round that is slow for all contenders does not change their ratio', async t => {
  t.same(pairedRatio([20, 200, 20], [10, 100, 10]), { ratio: 2, low: 2, high: 2 })
  const items = Array.from({ length: 50 }, (_, n) => n)
  const order = shuffled(items)
  t.not(order.join(), items.join())
  t.same(order.toSorted((a, b) => a - b), items)
})

t.test('a wrong argument ends the command before it does anything', async t => {
  for (const [args, line] of [
    [['bogus'], "Unknown benchmark 'bogus': --help lists the options\n"],
    [['--smal'], "Unknown option '--smal': --help lists the options\n"],
    [['scale', '--users', '10 000'], '--users is not a number from 1000 to 1000000: --help lists the options\n'],
    [['scale', '--users', '2000000'], '--users is not a number from 1000 to 1000000: --help lists the options\n']
  ] as const) {
    const run = bench(...args)
    t.equal(await run.code, 2)
    t.equal(run.stderr, line)
  }
  const help = bench('--help')
  t.equal(await help.code, 0)
  for (const name of ['cold', 'warm', 'server', 'calls', 'pipeline', 'scale', 'simulate', '--small', '--users']) t.match(help.stdout, `  ${name} `)
})

t.test('an answer that is not the right one is an error that names the contender, the request and the difference', async t => {
  const { call, expected } = peerTasks('secret').post
  const check = (statusCode: number, body: string) => () => checkAnswer('Hono', call, { statusCode, body }, expected)
  const data = { userId: 'a', email: 'grace@example.com', name: 'Grace Hopper' }
  t.doesNotThrow(check(201, JSON.stringify({ success: true, data })))
  t.throws(check(201, JSON.stringify({ success: false, data })), { message: 'Hono answers POST /users wrongly: body.success is false, not true' })
  t.throws(check(201, JSON.stringify({ success: true, data: { ...data, userId: '' } })), { message: 'Hono answers POST /users wrongly: body.data.userId is ""' })
  t.throws(check(201, JSON.stringify({ success: true })), { message: 'Hono answers POST /users wrongly: body.data is undefined' })
  t.throws(check(201, 'created'), { message: 'Hono answers POST /users wrongly: the body is not JSON' })
  t.throws(check(500, '{}'), { message: 'Hono answers POST /users wrongly: the status is 500, not 201, with the body {}' })
  t.throws(() => checkAnswer('Hono', call, undefined, expected), { message: /the status is undefined/ })
})

t.test('a bundle that cannot be loaded is an error with the first line of its reason', async t => {
  const loader = await buildLoader('cold-loader')
  const directory = t.testdir({ 'index.mjs': 'import "not-there"' })
  await t.rejects(load({ loader, directory, env: {}, events: [] }), { name: 'BenchError', message: /^\S+ fails to start \(exit code 1\): Error \[ERR_MODULE_NOT_FOUND\]: Cannot find package 'not-there'/ })
})

t.test('the command fails with one line, and reports no figures, when a contender has rotted', async t => {
  // It accepts what it must reject.
  const code = 'export const handler = async event => ({ statusCode: 201, body: JSON.stringify({ success: true, data: { userId: "a", ...JSON.parse(event.body) } }) })'
  const run = bench('cold', '--small', '--only', 'article', '--bundle', t.testdir({ 'index.mjs': code }))
  t.equal(await run.code, 1)
  t.match(run.stderr, /^bench: \S+ answers POST \/users wrongly: the status is 201, not 400/m)
  t.equal(run.stdout, '')
})

t.test('with contenders that answer rightly it prints their figures', async t => {
  const run = bench('cold', '--small', '--only', 'article')
  t.equal(await run.code, 0, run.stderr)
  t.match(run.stdout, /^the article's handler +[\d,]+ +[\d,]+ +[\d,]+ +\d+ +1\.00 \(1\.00–1\.00\) +1\.00$/m)
})

const isRunning = (pid: number) => {
  try {
    // A zombie has ended.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

t.test('Ctrl-C ends a benchmark and everything it has started', { skip: process.platform !== 'linux' && 'not run: reads /proc' }, async t => {
  // A bundle in a new process; servers and engines over loaded tables.
  for (const [args, progress, least] of [
    [['cold', '--only', 'article'], 'round 1 of', 1],
    [['scale', '--small'], 'warming up', 4]
  ] as const) {
    const run = bench(...args)
    await until(() => run.stderr.includes(progress), { timeoutMs: 60_000 })
    const started = descendants(run.child.pid!)
    t.ok(started.length >= least, `${args[0]}: ${started.length} processes`)
    run.child.kill('SIGINT')
    t.equal(await run.code, 130)
    t.match(run.stderr, /^Interrupted$/m)
    await until(() => started.every(pid => !isRunning(pid)))
  }
})
