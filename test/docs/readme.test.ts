import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { until } from '../helper.ts'
import { documents, ROOT } from './documents.ts'

interface Step { command: string, answer: string }

/** The commands of a `console` block, each with what it is said to answer. */
function stepsOf (block: string): Step[] {
  const steps: Step[] = []
  let continued = false
  for (const line of block.split('\n')) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), answer: '' })
    else if (continued) steps.at(-1)!.command += `\n${line}`
    else if (line !== '') steps.at(-1)!.answer += line
    continued = line.endsWith('\\')
  }
  return steps
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
    await until(() => /<end \d+>\n$/.test(output))
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

t.test('the README’s commands answer what it says, word for word, and what they made is there after a restart', { skip: hasCurl() ? false : 'curl is not installed' }, async t => {
  const steps = documents.find(({ path }) => path === 'README.md')!.blocks.filter(({ language }) => language === 'console').flatMap(({ text }) => stepsOf(text))
  t.ok(steps.length > 5, `${steps.length} commands`)
  const dir = t.testdir()
  const dataDir = join(dir, 'data')
  mkdirSync(join(dir, 'terminal'))
  const first = await start(t, dataDir)
  const run = openShell(t, join(dir, 'terminal'), first)
  let answers = 0
  for (const { command, answer } of steps) {
    // A person takes longer than the mail does.
    if (command.includes('/api/email')) await until(async () => (await (await fetch(`${first.inbox}/api/email`)).json() as unknown[]).length > 0)
    const given = await run(command)
    t.match(given, pattern(answer), command)
    if (answer !== '') answers++
  }
  t.ok(answers > 3, `${answers} answers`)
  const token = await run('echo "$token"')
  await stop(first.process)
  await t.rejects(fetch(`${first.api}/health/live`), 'nothing is left running')

  const second = await start(t, dataDir)
  const profile = await fetch(`${second.api}/v2/users/me`, { headers: { authorization: `Bearer ${token}` } })
  t.equal(profile.status, 200)
  t.match(await profile.json(), { email: 'ada@example.com', name: 'Countess Lovelace', version: 3 })
  t.equal((await (await fetch(`${second.inbox}/api/email`)).json() as unknown[]).length, 1, 'the mail is there too')
  await stop(second.process)
})

t.test('the README’s other blocks are the commands that exist', async t => {
  const shell = documents.find(({ path }) => path === 'README.md')!.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim())
  t.same(shell, ['npm ci && npm start', 'npm ci && npm test'])
})
