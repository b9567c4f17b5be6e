import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { documents } from './documents.ts'
import { hasCurl, openShell, pattern, start, stepsOf, stop } from './terminal.ts'

t.test('the README’s commands, pasted as they stand, answer what it says, and what they made is there after a restart', { skip: hasCurl() ? false : 'curl is not installed' }, async t => {
  const readme = documents.find(({ path }) => path === 'README.md')!
  const steps = stepsOf(readme.text, 'Use it')
  t.equal(steps.length, 3)
  const dir = t.testdir()
  const dataDir = join(dir, 'data')
  const terminal = join(dir, 'terminal')
  mkdirSync(terminal)
  const first = await start(t, dataDir)
  const run = openShell(t, terminal, first)
  // Twice, as a reader may: the second time the account is there already.
  for (const { commands, answer } of [...steps, ...steps]) t.match(await run(commands), pattern(answer), commands)
  t.strictSame(readdirSync(terminal), ['.curlrc'], 'no file is left')
  const token = await run('echo "$token"')
  await stop(first.process)
  await t.rejects(fetch(`${first.api}/health/live`), 'nothing is left running')

  const second = await start(t, dataDir)
  const profile = await fetch(`${second.api}/v2/users/me`, { headers: { authorization: `Bearer ${token}` } })
  t.equal(profile.status, 200)
  t.match(await profile.json(), { email: 'ada@example.com', name: 'Countess Lovelace', version: 3 })
  t.equal((await (await fetch(`${second.inbox}/api/email`)).json() as unknown[]).length, 2, 'the mails are there too')
  await stop(second.process)
})

t.test('the README’s other blocks are the commands that exist', async t => {
  const readme = documents.find(({ path }) => path === 'README.md')!
  const walk = stepsOf(readme.text, 'Use it').map(({ commands }) => commands)
  const shell = readme.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim())
  t.same(shell.filter(text => !walk.includes(text)), ['npm ci && npm start', 'npm ci && npm test'])
})
