import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { documents } from './documents.ts'
import { hasCurl, openShell, pattern, start, stepsOf, stop } from './terminal.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const page = documents.find(({ path }) => path === 'docs/migration-v1-v2.md')!

t.test('the commands of the migration page answer what it says', { skip: hasCurl() ? false : 'curl is not installed' }, async t => {
  const steps = stepsOf(page.text, 'Example')
  t.equal(steps.length, 6)
  const dir = t.testdir()
  mkdirSync(join(dir, 'terminal'))
  const system = await start(t, join(dir, 'data'))
  const run = openShell(t, join(dir, 'terminal'), system)
  for (const { commands, answer } of steps) t.match(await run(commands), pattern(answer), commands)
  await stop(system.process)
})

t.test('the page has every operation of v1, and each call of v2 that it names exists', async t => {
  const app = await buildTestApp(t, await startEngines(t))
  const operations = async (version: string) => Object.entries((await app.inject(`/openapi/${version}.json`)).json().paths as Record<string, object>)
    .flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`))
  const [v1, v2] = [await operations('v1'), await operations('v2')]
  const rows = [...page.text.matchAll(/^\| `([A-Z]+ \/v1[^`]*)` \| (.*?) \|/gm)]
  t.same(rows.map(([, call]) => call).sort(), v1.sort())
  for (const [, , calls = ''] of rows) for (const [, call = ''] of calls.matchAll(/`([^`]+)`/g)) t.ok(v2.includes(call), call)
})

t.test('the page quotes the texts of v1’s errors with the codes of v2', async t => {
  const app = await buildTestApp(t, await startEngines(t))
  const rows = [...page.text.matchAll(/^\| `([^`]+?)(?: ?…)?` \| (\d+) \| `([A-Z_]+)` \|/gm)]
  t.ok(rows.length >= 5)
  // Every error with its code is in v2's document, as an example; its detail is the text of v1.
  const examples = [...JSON.stringify((await app.inject('/openapi/v2.json')).json()).matchAll(/"status":(\d+),"detail":"([^"]*)","instance":"[^"]*","code":"([A-Z_]+)"/g)]
  for (const [, text = '', status, code] of rows) {
    if (code === 'BODY_MALFORMED') continue
    t.ok(examples.some(([, itsStatus, detail = '', itsCode]) => itsStatus === status && itsCode === code && detail.startsWith(text)), `${code}: ${text}`)
  }
  const malformed = await app.inject({ method: 'POST', url: '/v2/users', headers: { 'content-type': 'application/json' }, payload: '{' })
  t.match(malformed.json(), { code: 'BODY_MALFORMED', detail: 'The body is not valid JSON' })
})
