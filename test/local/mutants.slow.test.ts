import { globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { hashOf, instrument, makeCopy } from '../../scripts/mutants/copy.ts'
import { needless, reasonFor } from '../../scripts/mutants/explained.ts'
import { createHot } from '../../scripts/mutants/hot.ts'
import { createJudge } from '../../scripts/mutants/judge.ts'
import { runTest } from '../../scripts/mutants/run.ts'
import { isLeft, readRecords, recordsOf, withTables, writeRecords } from '../../scripts/mutants/record.ts'
import { draw, scoreOf, summary, tolerance, type Outcome } from '../../scripts/mutants/score.ts'
import { MAX_TESTS, testsOf } from '../../scripts/mutants/tests.ts'

const ROOT = resolve(import.meta.dirname, '../..')

const SOURCE = 'export const isLong = (text: string): boolean => text.length > 3\nexport function forever (): void { for (let i = 0; i < 3; i++) { /* counts */ } }\n'
const TEST = `import t from 'tap'
import { forever, isLong } from '../../src/shared/long.ts'
t.ok(isLong('four'))
t.notOk(isLong('abc'))
forever()
`

/** A project of one file and one test, and its copy with mutants. */
async function project (t: Test, test: string, source = SOURCE) {
  const root = t.testdir({ src: { shared: { 'long.ts': source } }, test: { shared: { 'long.test.ts': test } }, 'package.json': '{"type":"module"}' })
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  const instrumented = await instrument(root, ['src/shared/long.ts'])
  mkdirSync(join(root, '.cache'))
  const copy = join(root, '.cache/1')
  makeCopy(root, copy, instrumented)
  const find = (code: string, replacement: string) => instrumented.mutants.find(mutant => mutant.code === code && mutant.replacement === replacement)!
  return { root, copy, ...instrumented, find, run: (mutant?: string) => runTest(copy, 'test/shared/long.test.ts', mutant, { timeoutMs: 60_000 }) }
}

t.test('a test notices a mutant, and without its assertions does not', async t => {
  const { mutants, find, run } = await project(t, TEST)
  const mutant = find('text.length > 3', 'text.length >= 3')
  t.match(mutant, { file: 'src/shared/long.ts', line: 1, kind: 'EqualityOperator' })
  const without = await run()
  t.equal(without.result, 'passed', without.output)
  t.ok(without.reached.includes(mutant.id))
  t.match(await run(mutant.id), { result: 'failed', reached: [mutant.id] })
  const endless = mutants.find(({ kind }) => kind === 'UpdateOperator')!
  t.equal((await run(endless.id)).result, 'failed', 'a loop without an end is ended')

  const emptied = await project(t, TEST.replaceAll(/^t\..*$/gm, ''))
  t.equal((await emptied.run(mutant.id)).result, 'passed')
  const unrelated = await project(t, "import t from 'tap'\nt.ok(true)\n")
  t.match(await unrelated.run(mutant.id), { result: 'passed', reached: [] }, 'a test that does not reach it')
})

t.test('a process that stays gives the answers of one for each test, whatever ran before', async t => {
  // What a module remembers would go from one mutant to the next, if modules were not loaded anew.
  const source = `${SOURCE}const long = new Map<string, boolean>()\nexport const LIMIT = 2 + 3\nexport const remembered = (text: string): boolean => { if (!long.has(text)) long.set(text, isLong(text)); return long.get(text)! }\nexport const unused = (a: number): number => a + 1\nexport const half = (a: number): number => a / 2\n`
  const body = `import t from 'tap'
import { forever, half, isLong, LIMIT, remembered } from '../../src/shared/long.ts'
let started = false
t.test('first', async t => { started = true; t.ok(isLong('four')); t.ok(remembered('four')) })
const two = half(4)
t.test('needs the first', async t => { t.ok(started); t.notOk(isLong('abc')) })
t.test('others', async t => { forever(); t.equal(LIMIT, 5); t.equal(two, 2) })
`
  const { root, copy, mutants, files, hashes, run } = await project(t, body, source)
  const hot = createHot(copy, new AbortController().signal)
  t.teardown(() => hot.stop())
  const judge = createJudge({ root: copy, cache: join(root, '.cache'), instrumented: { mutants, files, hashes }, testsFor: () => ['test/shared/long.test.ts'], budgetMs: 4000 })
  const left = [...mutants, ...mutants]
  const seen: Outcome[] = []
  await judge(() => left.shift(), hot, outcome => { seen.push(outcome) })
  t.equal(seen.length, 2 * mutants.length)
  for (const mutant of mutants) {
    const [first, second] = seen.filter(outcome => outcome.mutant.id === mutant.id).map(({ status }) => status)
    t.equal(first, second, `${mutant.code} → ${mutant.replacement}`)
    const cold = await run(mutant.id)
    t.equal(first, cold.result === 'failed' ? 'killed' : cold.reached.length > 0 ? 'survived' : 'unreached', `${mutant.code} → ${mutant.replacement}`)
  }
  t.same(new Set(seen.map(({ status }) => status)), new Set(['killed', 'survived', 'unreached']))

  // A mutant is noticed by the test of the process it runs in, and the next run knows nothing of it.
  const mutant = mutants.find(({ code }) => code === '2 + 3')!
  const file = 'test/shared/long.test.ts'
  t.match(await hot.run({ file, mutant: mutant.id }), { result: 'failed', failure: { subtest: 2 } })
  t.match(await hot.run({ file, mutant: '' }), { result: 'passed' })
  t.match(await hot.run({ file, mutant: mutant.id, wanted: [0] }), { result: 'passed' }, 'subtests that are not wanted do not run')
})

t.test('whole files are recorded until they change, and the page has what is left of them, with reasons where there are some', async t => {
  const mutant = (file: string, line: number, code: string) => ({ id: String(line), file, line, column: 1, kind: 'x', code, replacement: 'y', key: '' })
  const [known, noticed, survivor, other, more] = [mutant('src/shared/locale.ts', 1, 'known.clear()'), mutant('src/shared/a.ts', 2, 'a'), mutant('src/shared/a.ts', 3, 'b'), mutant('src/app.ts', 4, 'c'), mutant('src/app.ts', 5, 'd')]
  const outcome = (mutant: Outcome['mutant'], status: Outcome['status']): Outcome => ({ mutant, status, tests: [], ms: 1 })
  const mutants = [known, noticed, survivor, other, more]
  const hashes = new Map(['src/shared/locale.ts', 'src/shared/a.ts', 'src/app.ts'].map(file => [file, `hash of ${file}`]))
  const outcomes = [outcome(known, 'survived'), outcome(survivor, 'unreached'), outcome(noticed, 'timeout'), outcome(other, 'killed')]
  const records = recordsOf(outcomes, { mutants, hashes })
  t.same(Object.keys(records), ['src/shared/locale.ts', 'src/shared/a.ts'], 'a mutant of src/app.ts was not tried')
  t.same(records['src/shared/a.ts'], { source: 'hash of src/shared/a.ts', mutants: 2, noticed: 1, timeouts: 1, left: [{ line: 3, column: 1, code: 'b', replacement: 'y', status: 'unreached' }] })

  const page = 'before\n<!-- npm run mutants -- --note writes from here -->\nold\n<!-- to here -->\nafter'
  const root = t.testdir({ docs: { 'testing.md': page } })
  const instrumented = { mutants, hashes, files: new Map<string, string>() }
  t.same(readRecords(root, instrumented), {})
  writeRecords(root, records, [], instrumented)
  const noted = readFileSync(join(root, 'docs/testing.md'), 'utf8')
  t.match(noted, /^Score: 33\.3 %$/m)
  t.match(noted, '| `src/shared` | 3 | 3 | 1 (1 by a timeout) | 1 | 1 | 1 | 50.0 % |')
  t.match(noted, '| together | 5 | 3 | 1 (1 by a timeout) | 1 | 1 | 1 | 50.0 % |')
  t.notMatch(noted, '`src/app', 'nothing of it was tried')
  t.match(noted, '| `src/shared/a.ts` | 1 | 3 |')
  t.match(noted, /the memory of tags.* \| 1 \|/)
  t.match(noted, /^before\n[^]*\nafter$/)
  t.notMatch(noted, /old/)
  t.same(readRecords(root, instrumented), records)
  hashes.set('src/shared/a.ts', 'another')
  t.same(Object.keys(readRecords(root, instrumented)), ['src/shared/locale.ts'], 'a file that has changed')
  const both = writeRecords(root, recordsOf([outcome(other, 'killed'), outcome(more, 'killed')], instrumented), [], instrumented)
  t.same(Object.keys(both), ['src/app.ts', 'src/shared/locale.ts'], 'others stay')

  hashes.set('src/shared/a.ts', 'hash of src/shared/a.ts')
  writeRecords(root, records, [], instrumented)
  t.ok(isLeft(records, survivor))
  t.notOk(isLeft(records, noticed))
  const later = writeRecords(root, {}, [outcome(survivor, 'timeout'), outcome(noticed, 'killed'), outcome(known, 'survived')], instrumented)
  t.same(later['src/shared/a.ts'], { source: 'hash of src/shared/a.ts', mutants: 2, noticed: 2, timeouts: 2, left: [] }, 'a test was added')
  t.equal(later['src/shared/locale.ts']!.left.length, 1)
  t.match(readFileSync(join(root, 'docs/testing.md'), 'utf8'), '\nEach of the others was noticed.\n')
  t.throws(() => withTables('nothing', {}, []), /has lost the lines/)
})

t.test('what no test noticed has its reason, and each reason is needed', async t => {
  // Of files that have changed since, nothing is known.
  const records = readRecords(ROOT, { hashes: new Map(globSync('src/**/*.ts', { cwd: ROOT }).map(file => [file, hashOf(readFileSync(join(ROOT, file), 'utf8'))])) })
  const left = Object.entries(records).flatMap(([file, { left }]) => left.map(mutant => ({ file, ...mutant })))
  t.strictSame(left.filter(mutant => reasonFor(mutant) === undefined).map(({ file, line, code, replacement }) => `${file}:${line} ${code} → ${replacement}`), [])
  t.strictSame(needless(Object.keys(records), left), [])

  const [first] = left
  t.ok(first)
  const others = left.filter(mutant => reasonFor(mutant) !== reasonFor(first!))
  t.equal(needless([first!.file], others).length, 1, 'its mutants were noticed')
  t.equal(reasonFor({ ...first!, code: 'another' }), undefined)
})

t.test('a test that does not end is ended, with all that it started', async t => {
  const { copy, run } = await project(t, TEST)
  writeFileSync(join(copy, 'test/shared/long.test.ts'), "import t from 'tap'\nsetInterval(() => {}, 1000)\nawait new Promise(() => {})\nt.end()\n")
  t.equal((await runTest(copy, 'test/shared/long.test.ts', '', { timeoutMs: 3000 })).result !== 'passed', true)
  const aborter = new AbortController()
  const stopped = runTest(copy, 'test/shared/long.test.ts', '', { signal: aborter.signal })
  aborter.abort(new Error('stopped'))
  await t.rejects(stopped, { message: 'stopped' })
  t.ok(run)
})

t.test('a seed draws the same mutants, and a sample may be as far below as chance explains', async t => {
  const items = Array.from({ length: 1000 }, (_, i) => i)
  t.same(draw(items, 100, 7), draw(items, 100, 7))
  t.notSame(draw(items, 100, 7), draw(items, 100, 8))
  t.equal(new Set(draw(items, 2000, 7)).size, 1000)
  t.ok(Math.abs(tolerance(0.9, 100) - 0.07) < 0.001)

  const { mutants } = await project(t, TEST)
  const outcomes = mutants.map((mutant, i): Outcome => ({ mutant, status: i === 0 ? 'survived' : 'killed', tests: [], ms: 1 }))
  t.equal(scoreOf(outcomes), (outcomes.length - 1) / outcomes.length)
  t.match(summary(outcomes), /^survived src\/shared\/long\.ts:1:\d+ \w+: .* → .*$/m)
})

t.test('texts that only people read are no mutants', async t => {
  const source = `export const say = (log: { warn (fields: object, text: string): void }, text: string): never => {
  log.warn({ state: 'in a field' }, 'in a log line')
  console.log('elsewhere')
  throw new Error(text === 'compared' ? 'chosen' : 'inside of an argument', { cause: new Error('of another') })
}
export const schema = { type: 'string', description: 'of a document' }
`
  const { mutants } = await project(t, TEST, source)
  const texts = mutants.filter(({ kind }) => kind === 'StringLiteral').map(({ code }) => code)
  t.strictSame(texts, ["'in a field'", "'elsewhere'", "'chosen'", "'inside of an argument'", "'string'"], 'only what stands there by itself')
})

t.test('of mutants that one test notices together, one is tried', async t => {
  const source = `export const isAbove = (a: number, b: number): boolean => a < b
export const isSame = (a: number, b: number): boolean => a === b
export const isWord = (text: string): boolean => text !== 'word'
export function end (list: { clear (): void }): void {
  list.clear()
}
export function both (list: { clear (): void, end (): void }): void {
  list.clear()
  list.end()
}
`
  const { mutants } = await project(t, TEST, source)
  const of = (line: number) => mutants.filter(mutant => mutant.line === line).map(({ replacement }) => replacement)
  t.strictSame(of(1), ['() => undefined', 'true', 'false', 'a <= b'])
  t.strictSame(of(2), ['() => undefined', 'true', 'false'])
  t.strictSame(of(3), ['() => undefined', 'true', 'false'])
  t.strictSame([of(4), of(5)], [['{}'], []])
  t.strictSame([of(7), of(8), of(9)], [['{}'], [';'], [';']])
})

t.test('the tests of a file are those that mirror it', async t => {
  t.equal(testsOf(ROOT, 'src/shared/ids.ts')[0], 'test/shared/ids.test.ts')
  t.equal(testsOf(ROOT, 'src/plugins/keys/derive.ts')[0], 'test/plugins/keys.test.ts')
  t.ok(testsOf(ROOT, 'src/modules/users/service.ts').length > 5)
  t.same(testsOf(ROOT, 'src/modules/users/admin.routes.v2.ts').slice(0, 2), ['test/modules/users/admin.routes.v2.test.ts', 'test/plugins/docs.test.ts'], 'the routes of a module are in the API documents')
  t.notOk(testsOf(ROOT, 'src/modules/uploads/service.ts').some(test => !test.startsWith('test/modules/uploads/')))
  t.ok(testsOf(ROOT, 'src/modules/auth/service.ts').slice(0, MAX_TESTS).includes('test/races/races.test.ts'), 'named for it')
})
