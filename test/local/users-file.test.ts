import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { importRows, type ImportOptions, type RowResult } from '../../scripts/users/import.ts'
import { formatOf, readRows, surveyRows, type Row } from '../../scripts/users/rows.ts'
import { invalidity } from '../../scripts/users/check.ts'
import { workload } from '../promise.ts'

async function rowsOf (t: Test, name: string, content: string | Buffer): Promise<Row[]> {
  const file = join(t.testdir(), name)
  writeFileSync(file, content)
  const rows: Row[] = []
  for await (const row of readRows(file, formatOf(name, undefined))) rows.push(row)
  return rows
}

t.test('a CSV is read as RFC 4180 says, and each bad row has its reason', async t => {
  t.strictSame(await rowsOf(t, 'a.csv', '\uFEFFemail,name,locale\r\nada@example.com,"Lovelace, ""Ada""",\r\n\r\ngrace@example.com,"Grace\nHopper",en'), [
    { number: 1, value: { email: 'ada@example.com', name: 'Lovelace, "Ada"' } },
    { number: 2, value: { email: 'grace@example.com', name: 'Grace\nHopper', locale: 'en' } }
  ])
  t.strictSame(await rowsOf(t, 'b.csv', `name,email\nx\na,b,c\n"a"b,c\n,\n${'x'.repeat(20_000)},y\n`), [
    { number: 1, reason: 'has 1 cells, and the first line 2' },
    { number: 2, reason: 'has 3 cells, and the first line 2' },
    { number: 3, reason: 'a quote stands where none can' },
    { number: 4, value: { name: '', email: '' } },
    { number: 5, reason: 'has more than 16384 characters' }
  ])
  await t.rejects(rowsOf(t, 'c.csv', `email,name\n"a,b\n${'c,d\n'.repeat(10_000)}`), { message: /a quote in row 1 is not closed/ })
  for (const header of ['', 'email', 'email,name,role', 'email,name,name', 'ada@example.com,Ada']) await t.rejects(rowsOf(t, 'd.csv', `${header}\nx,y\n`), { message: /must name the columns/ }, header)
  await t.rejects(rowsOf(t, 'e.csv', Buffer.from('email,name\na@example.com,J\xf6rg\n', 'latin1')), { message: /is not in UTF-8/ })
})

t.test('so is NDJSON', async t => {
  t.strictSame(await rowsOf(t, 'a.ndjson', `{"email":"ada@example.com"}\r\n{\n[]\n"${'x'.repeat(20_000)}"\n\nnull`), [
    { number: 1, value: { email: 'ada@example.com' } },
    { number: 2, reason: 'is not JSON' },
    { number: 3, reason: 'is not a JSON object' },
    { number: 4, reason: 'has more than 16384 characters' },
    { number: 5, reason: 'is not a JSON object' }
  ])
})

t.test('a row is checked before an import by the rules of the service', async t => {
  t.equal(invalidity({ email: 'ada@example.com', name: 'Ada Lovelace' }), undefined)
  for (const row of [{ email: 'ada', name: 'Ada' }, { email: 'ada@example.com', name: 'A' }, { email: 'ada@example.com', name: '\u200b\u200b\u200b' }, { email: 'ada@example.com', name: 'Ada', role: 'admin' }, { name: 'Ada' }]) t.type(invalidity(row), 'string', JSON.stringify(row))
})

/** A service that registers what it gets, as the real one does by idempotency keys. */
function fakeService () {
  const answers = new Map<string, { body: string, results: RowResult[] }>()
  const registered: string[] = []
  return {
    registered,
    async register (rows: Record<string, unknown>[], key: string): Promise<RowResult[]> {
      const body = JSON.stringify(rows)
      const known = answers.get(key)
      if (known !== undefined) {
        if (known.body !== body) throw new Error('another body under the same key')
        return known.results
      }
      if (rows.length > 100 || body.length > 64_000) throw new Error('too large')
      const results = rows.map(({ email }): RowResult => {
        if (String(email).startsWith('bad')) return { status: 400, code: 'VALIDATION_FAILED', detail: 'is not good' }
        registered.push(String(email))
        return { status: 201 }
      })
      answers.set(key, { body, results })
      return results
    }
  }
}

const email = (i: number) => i % 50 === 0 ? `bad${i}` : `user-${i}@example.com`

t.test('an import that is interrupted anywhere goes on there: no row twice, none left out, one complete report', async t => {
  const file = join(t.testdir(), 'users.csv')
  const rows = 1234
  writeFileSync(file, `email,name\n${Array.from({ length: rows }, (_, i) => i % 100 === 7 ? 'one cell' : `${email(i)},${'n'.repeat(i % 90 + 2)}`).join('\n')}\n`)
  const { digest } = await surveyRows(file, 'csv')
  const service = fakeService()
  const attempt = (options: Partial<ImportOptions>) => importRows({ file, format: 'csv', digest, target: 'here', restart: false, register: service.register, onProgress () {}, signal: new AbortController().signal, ...options })

  // The answer of the third batch is lost, together with the process: its line in the report may be there.
  let calls = 0
  await t.rejects(attempt({ async register (rows, key) { const results = await service.register(rows, key); if (++calls === 3) throw new Error('lost'); return results } }), { message: 'lost' })
  writeFileSync(`${file}.refused.ndjson`, '{"row":', { flag: 'a' })

  const controller = new AbortController()
  const stopped = await attempt({ signal: controller.signal, onProgress: ({ rows }) => { if (rows > 600) controller.abort() } })
  t.match(stopped, { isDone: false, report: `${file}.refused.ndjson` })
  t.ok(stopped.rows > 600 && stopped.rows < 800, `${stopped.rows} rows`)
  await t.rejects(attempt({ target: 'there' }), { message: /is about an import to here/ })
  await t.rejects(attempt({ digest: 'another' }), { message: /has changed since its import was interrupted/ })

  const { registered, refused, isDone } = await attempt({})
  t.strictSame({ registered, refused, isDone }, { registered: service.registered.length, refused: rows - service.registered.length, isDone: true })
  const expected = Array.from({ length: rows }, (_, i) => i).filter(i => i % 100 !== 7 && i % 50 !== 0).map(email)
  t.strictSame(service.registered, expected)
  const report = readFileSync(`${file}.refused.ndjson`, 'utf8').trim().split('\n').map(line => JSON.parse(line) as { row: number, email?: string, code?: string, detail: string })
  t.strictSame(report.map(({ row }) => row), Array.from({ length: rows }, (_, i) => i + 1).filter(row => (row - 1) % 100 === 7 || (row - 1) % 50 === 0))
  t.strictSame(report[0], { row: 1, email: 'bad0', code: 'VALIDATION_FAILED', detail: 'is not good' })
  t.strictSame(report[1], { row: 8, detail: 'has 1 cells, and the first line 2' })
  t.notOk(existsSync(`${file}.import.json`), 'nothing is left to be continued')
})

t.test('memory does not grow with the file', async t => {
  const rows = workload({ short: 50_000, full: 1_000_000 })
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=24', '--max-semi-space-size=2', join(import.meta.dirname, 'import-many.ts'), join(t.testdir(), 'users.ndjson'), String(rows)])
  const { registered, refused, rss, seconds } = JSON.parse(stdout) as { registered: number, refused: number, rss: number, seconds: number }
  t.comment(`${rows} rows in ${seconds} s, ${rss} MiB at most`)
  t.equal(registered + refused, rows)
  t.ok(refused > 0)
  t.ok(rss < 140, `${rss} MiB; an empty process has 50 to 60`)
})
