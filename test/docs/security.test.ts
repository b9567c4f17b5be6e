import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import asvs from './asvs-5.0.0.json' with { type: 'json' }
import { ROOT } from './documents.ts'
import { rowsOf, securityFaults, type Chapters } from './security.ts'

const page = readFileSync(resolve(ROOT, 'docs/security.md'), 'utf8')
const chapters: Chapters = asvs.chapters
const faultsOf = (text: string) => securityFaults(text, chapters).faults

t.test('each clause of the chapters is in docs/security.md once, with a test that exists or a reason', async t => {
  const { faults, looked } = securityFaults(page, chapters)
  t.strictSame(faults, [])
  t.equal(looked.clauses, 140)
  t.ok(looked.controls > 30, `${looked.controls} rows of other tables`)
})

/** The page with one row changed: the first that begins with `start`. */
function withRow (start: string, change: (row: string) => string): string {
  const row = page.split('\n').find(line => line.startsWith(`| ${start}`))
  if (row === undefined) throw new Error(`no row begins with ${start}`)
  return page.replace(row, change(row))
}

t.test('what is wrong with the page is found', async t => {
  const summary = /^Of \d+ clauses.+$/m.exec(page)![0]
  for (const [what, text, fault] of [
    ['a test that does not exist', page.replace('`test/plugins/jwt.test.ts`', '`test/plugins/gone.test.ts`'), /^test\/plugins\/gone\.test\.ts does not exist$/],
    ['a source that does not exist', page.replace('`src/authorizer/jwks.ts`', '`src/authorizer/gone.ts`'), /^src\/authorizer\/gone\.ts does not exist$/],
    ['a clause that ASVS does not have', withRow('9.1.1', row => row.replace('9.1.1', '9.1.4')), /^9\.1\.4 is no clause of these chapters$/],
    ['a clause that is left out', withRow('9.1.1', () => ''), /^9\.1\.1 is in no table$/],
    ['a clause that does not apply and is left out', page.replace('6.2.1 to 6.2.12', '6.2.1 to 6.2.11'), /^6\.2\.12 is in no table$/],
    ['a clause that is there twice', withRow('9.1.1', row => `${row}\n${row}`), /^9\.1\.1 is there twice$/],
    ['a clause of another chapter', withRow('9.1.1', () => '').replace('| 4.1.2 ·', row => `| 9.1.1 · L1 | a | b | \`test/plugins/jwt.test.ts\` | – |\n${row}`), /^9\.1\.1 is no clause of V4/],
    ['another level', withRow('9.1.1', row => row.replace('L1', 'L2')), /^9\.1\.1 is of level 1$/],
    ['a row without a test', withRow('9.1.1', row => row.replace(/`test\/[^|]+/, 'yes ')), /9\.1\.1 · L1 has neither a test nor a reason$/],
    ['a row that only says that there is no test', withRow('9.1.1', row => row.replace(/`test\/[^|]+/, 'no test: ')), /9\.1\.1 · L1 has neither a test nor a reason$/],
    ['a clause that is not met, without a reason', withRow('6.3.3', row => row.replace(/(not met \|)[^|]+/, '$1 ')), /6\.3\.3 · L2 has no reason$/],
    ['one without what holds instead', withRow('6.3.3', row => `${row.split('|').slice(0, 5).join('|')}| nothing |`), /6\.3\.3 · L2 names no test of what holds instead$/],
    ['another state', withRow('6.3.3', row => row.replace('| not met |', '| soon |')), /6\.3\.3 · L2 is soon$/],
    ['a clause that does not apply, without a reason', page.replace('| no GraphQL |', '| |'), /4\.3\.1 to 4\.3\.2 has no reason$/],
    ['a threat without a test', withRow('forge or alter a token', row => row.replace(/`test\/[^|]+/, 'yes ')), /forge or alter a token has neither a test nor a reason$/],
    ['another summary', page.replace(summary, summary.replace(/\d+ are met,/, '99 are met,')), /^the summary is not: Of 140 clauses/]
  ] as const) {
    t.not(text, page, what)
    t.ok(faultsOf(text).some(found => fault.test(found)), `${what}: ${faultsOf(text).join('; ')}`)
  }
})

t.test('tables are read by their headings', async t => {
  t.strictSame(rowsOf('# A\n| x | y |\n|---|---|\n| 1 | 2 |\n\n## B\n| z |\n|---|\n| 3 |'), [{ heading: 'A', cells: ['1', '2'] }, { heading: 'B', cells: ['3'] }])
})
