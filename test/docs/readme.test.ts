import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { until } from '../helper.ts'
import { documents, ROOT } from './documents.ts'

interface Step { commands: string, answer: string }

/** The blocks of commands in the README's walk-through, each with the answer that stands below it. */
function stepsOf (text: string): Step[] {
  const [, section = ''] = /^## Use it\n([\s\S]*?)^## /m.exec(text) ?? []
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```json\n([\s\S]*?)^```)?/gm)].map(([, commands = '', answer = '']) => ({ commands: commands.trim(), answer: answer.trim() }))
}

/** What an answer of the README stands for: its ids, dates and `…` are some id, date and text. */
function pattern (answer: string): RegExp {
  const source = answer.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z/g, '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z')
    .replaceAll('…', '[^"]+')
  return new RegExp(`^${source}$`)
}

/** `npm start`, as a newcomer types it. */
async function start (t: Test, dataDir: string): Promise<{ process: ChildProcess, api: string, inbox: string }> {
  const process_ = spawn('npm', ['start'], { cwd: ROOT, env: { ...process.env, PORT: '0', INBOX_PORT: '0', LOCAL_DATA_DIR: dataDir }, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  t.teardown(() => { try { process.kill(-process_.pid!, 'SIGKILL') } catch { /* it has ended */ } })
  const urls: Record<string, string> = {}
  for await (const line of createInterface(process_.stdout)) {
    const [, name, url] = /^ {2}(API|Inbox) +(http:\S+)$/.exec(line) ?? []
    if (name !== undefined) urls[name] = url!
    if (line.includes('Ctrl-C')) break
  }
  process_.stdout.resume()
  if (urls['API'] === undefined || urls['Inbox'] === undefined) throw new Error('npm start ended before it was ready')
  return { process: process_, api: urls['API'], inbox: urls['Inbox'] }
}

/** Ctrl-C in its terminal. */
async function stop (process_: ChildProcess): Promise<void> {
  process.kill(-process_.pid!, 'SIGINT')
  await once(process_, 'exit')
}

/** One shell for all commands, as in a terminal; curl takes the README's ports for those of this run. */
function openShell (t: Test, cwd: string, { api, inbox }: { api: string, inbox: string }) {
  const connectTo = (readmePort: number, url: string) => `connect-to = "localhost:${readmePort}:127.0.0.1:${new URL(url).port}"\n`
  writeFileSync(join(cwd, '.curlrc'), connectTo(3000, api) + connectTo(1080, inbox))
  const shell = spawn('sh', [], { cwd, env: { ...process.env, CURL_HOME: cwd }, stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => shell.kill('SIGKILL'))
  let output = ''
  shell.stdout.setEncoding('utf8').on('data', chunk => { output += chunk })
  return async (command: string): Promise<string> => {
    output = ''
    shell.stdin.write(`${command}\necho "<end $?>"\n`)
    await until(() => /<end \d+>\n$/.test(output), { timeoutMs: 30_000 })
    const [, answer = '', status] = /^([\s\S]*)<end (\d+)>\n$/.exec(output)!
    if (status !== '0') throw new Error(`${command}: exit code ${status}, ${answer}`)
    return answer.trim()
  }
}

function hasCurl (): boolean {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return process.env['CI'] === 'true' // where it must be there, its absence is a failure
  }
}

t.test('the README’s commands, pasted as they stand, answer what it says, and what they made is there after a restart', { skip: hasCurl() ? false : 'curl is not installed' }, async t => {
  const readme = documents.find(({ path }) => path === 'README.md')!
  const steps = stepsOf(readme.text)
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
  const walk = stepsOf(readme.text).map(({ commands }) => commands)
  const shell = readme.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim())
  t.same(shell.filter(text => !walk.includes(text)), ['npm ci && npm start', 'npm ci && npm test'])
})
