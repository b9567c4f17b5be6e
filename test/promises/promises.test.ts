import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { CATALOGUE, PROMISES, type Group } from '../../scripts/promises/catalogue.ts'
import { isKept, readFigures, readPage, renderTables, withTables, type Figure } from '../../scripts/promises/figures.ts'
import { findHolders } from '../../scripts/promises/holders.ts'
import { judge, type Outcome } from '../../scripts/promises/judge.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const holders = findHolders(ROOT)
const figures = readFigures(ROOT)

t.test('the catalogue has all 39 promises, in order', async t => {
  t.strictSame(PROMISES.map(({ number }) => number), Array.from({ length: 39 }, (_, i) => i + 1))
  for (const { number, text } of PROMISES) t.ok(text.length > 20, `${number}`)
})

const unheld = PROMISES.filter(({ number }) => ![...holders.values()].some(numbers => numbers.includes(number))).map(({ number }) => number)
t.test('each promise has a test that reports its figure', async t => {
  t.strictSame(unheld, [])
})

t.test('each report is of a promise in the catalogue', async t => {
  for (const [file, numbers] of holders) for (const number of numbers) t.ok(PROMISES.some(promise => promise.number === number), `${file}: ${number}`)
})

t.test('the tables of docs/promises.md are those that npm run promises made of its figures', async t => {
  const page = readPage(ROOT)
  t.equal(page, withTables(page, figures), 'npm run promises writes the tables; a figure is not edited by hand')
  for (const number of Object.keys(figures)) t.ok(PROMISES.some(promise => String(promise.number) === number), `there is a promise ${number}`)
  for (const { number, notReached } of PROMISES) {
    if (notReached !== undefined && figures[number] !== undefined) t.notOk(isKept(figures[number]), `promise ${number} is kept: remove notReached from the catalogue`)
  }
})

// ── Planted ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const figure: Figure = { date: '2026-01-01', commit: 'abc', machine: '2 cores', seconds: 3, parts: [{ figure: '7 of 7', holds: true }] }
const catalogue: Group[] = [{ title: 'Some', promises: [{ number: 1, text: 'One' }, { number: 2, text: 'Two', notReached: 'the engine is slow' }, { number: 3, text: 'Three' }] }]

t.test('a promise that does not hold is shown with its number, and a known cause with it', async t => {
  const broken = { ...figure, parts: [{ part: 'half of it', figure: '6 of 7', holds: false }] }
  const tables = renderTables({ 1: broken, 2: broken }, catalogue)
  t.match(tables, '0 of 3 are kept')
  t.match(tables, '| 1 | One | half of it: 6 of 7 (**does not hold**) | **no** |')
  t.match(tables, '| 2 | Two | half of it: 6 of 7 (**does not hold**) | **no**, not reached: the engine is slow |')
  t.match(tables, '| 3 | Three | not measured yet | **no** |')
  t.match(renderTables({ 1: figure }, catalogue), '| 1 | One | 7 of 7 | yes | `npm run promises -- 1`, 3 s: 2026-01-01, abc, 1 |')
})

t.test('a page that was edited by hand is found', async t => {
  const page = withTables(readPage(ROOT), { 1: figure }, catalogue)
  t.equal(page, withTables(page, { 1: figure }, catalogue))
  const edited = page.replace('7 of 7', '70 of 70')
  t.not(edited, page)
  t.not(edited, withTables(edited, { 1: figure }, catalogue))
  t.throws(() => withTables('# Promises\n', {}), /docs\/promises\.md has lost the lines/)
})

const outcome = (changes: Partial<Outcome>): Outcome => ({ file: 'test/a.test.ts', findings: [{ promise: 1, figure: '7', holds: true }], failed: 0, seconds: 1, ...changes })

t.test('a promise is not kept when a test file reports nothing of it, fails beside its figures, or when there is none', async t => {
  t.strictSame(judge(1, [outcome({})]), { parts: [{ figure: '7', holds: true }] })
  t.match(judge(1, [outcome({}), outcome({ file: 'test/b.test.ts', findings: [] })]), { problem: 'test/b.test.ts reported nothing' })
  t.match(judge(1, []), { parts: [], problem: 'no test reports it' })
  t.match(judge(1, [outcome({ failed: 1 })]), { problem: 'test/a.test.ts has failures' })
  const beside = outcome({ findings: [{ promise: 1, figure: '7', holds: true }, { promise: 2, figure: '8', holds: false }], failed: 1 })
  t.strictSame(judge(1, [beside]), { parts: [{ figure: '7', holds: true }] }, 'the failure is of another promise of the file')
  t.strictSame(judge(2, [beside]), { parts: [{ figure: '8', holds: false }] })
})

/** A project with a test file of its own, and the scripts of this one. */
function plant (t: Test, test: string): string {
  const dir = t.testdir()
  for (const name of ['src', 'local', 'node_modules', 'package.json', '.taprc']) symlinkSync(join(ROOT, name), join(dir, name))
  cpSync(join(ROOT, 'scripts'), join(dir, 'scripts'), { recursive: true })
  for (const folder of ['test', 'docs/promises']) mkdirSync(join(dir, folder), { recursive: true })
  cpSync(join(ROOT, 'test/promise.ts'), join(dir, 'test/promise.ts'))
  writeFileSync(join(dir, 'docs/promises.md'), withTables(readPage(ROOT), {}))
  writeFileSync(join(dir, 'docs/promises/figures.json'), '{}\n')
  writeFileSync(join(dir, 'test/planted.test.ts'), test)
  return dir
}

async function promises (t: Test, dir: string, ...args: string[]) {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TAP|PROMISES)/.test(name)))
  const child = spawn(process.execPath, ['scripts/promises.ts', ...args], { cwd: dir, env: own, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>(resolve => { child.once('close', resolve) })])
  return { stdout, stderr, status, page: readFileSync(join(dir, 'docs/promises.md'), 'utf8') }
}

const PLANTED = `import t from 'tap'
import { report, SIZE, workload } from './promise.ts'
t.test('kept', async t => report(t, { promise: 1, part: SIZE, figure: \`\${workload({ short: 1, full: 10 })} rounds\`, holds: true }))
t.test('broken', async t => report(t, { promise: 2, figure: '1 lost', holds: false }))
t.test('silent', async t => { if (Date.now() === 0) report(t, { promise: 3, figure: '', holds: true }) })
`

t.test('npm run promises prints and writes what was measured, and fails for what is broken or silent', async t => {
  const dir = plant(t, PLANTED)
  const full = await promises(t, dir, '1', '2', '3', '4')
  t.equal(full.status, 1, full.stderr)
  for (const line of ['[1/1] test/planted.test.ts: 1, 2, 3', 'holds   1, full: 10 rounds', 'BROKEN  2: 1 lost', 'test/planted.test.ts reported nothing', 'no test reports it', '1 kept, 3 broken', '\n1 passed, 3 failed\n']) t.match(full.stdout, line)
  t.match(full.page, /\| 1 \|.*\| full: 10 rounds \| yes \|/)
  t.match(full.page, /\| 2 \|.*\| 1 lost \(\*\*does not hold\*\*\) \| \*\*no\*\* \|/)
  t.match(full.page, /\| 3 \|.*\| none \| \*\*no\*\*: test\/planted\.test\.ts reported nothing \|/)
  t.match(full.page, /\| 5 \|.*\| not measured yet \|/)

  const half = await promises(t, dir, '--half', '1')
  t.match(half, { status: 0, stdout: /half: 5 rounds[^]*\n1 passed, 0 failed\n$/, page: full.page }, 'half the size writes nothing')
  t.match(await promises(t, dir, '40'), { status: 2, stderr: 'There is no promise 40: --list lists them\n', stdout: '' })
})

t.test('--list has each promise once', async t => {
  const { stdout, status } = await promises(t, ROOT, '--list')
  t.equal(status, 0)
  for (const { title, promises } of CATALOGUE) {
    t.match(stdout, title)
    for (const { number, text } of promises) t.equal(stdout.split(`\n${String(number).padStart(4)}  ${text}\n`).length, 2, `${number}`)
  }
})
