import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { until } from '../until.ts'
import { ROOT } from './documents.ts'

// Runs the commands of a document as a reader does: against `npm start`, in one terminal.

interface Step { commands: string, answer: string }

/** The blocks of commands in a section of a document, each with the answer that stands below it. */
export function stepsOf (text: string, heading: string): Step[] {
  const [, section = ''] = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?:^## |(?![\\s\\S]))`, 'm').exec(text) ?? []
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```json\n([\s\S]*?)^```)?/gm)].map(([, commands = '', answer = '']) => ({ commands: commands.trim(), answer: answer.trim() }))
}

/** What an answer in a document stands for: its ids, dates and `…` are some id, date and text. */
export function pattern (answer: string): RegExp {
  const source = answer.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z/g, '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z')
    .replaceAll('…', '[^"]+')
  return new RegExp(`^${source}$`)
}

/** `npm start`, as a newcomer types it, in a folder of the project; `port` is that of an earlier start. */
export async function start (t: Test, dataDir: string, { cwd = ROOT, port = '0' }: { cwd?: string, port?: string } = {}): Promise<{ process: ChildProcess, api: string, inbox: string }> {
  const process_ = spawn('npm', ['start'], { cwd, env: { ...process.env, PORT: port, INBOX_PORT: '0', LOCAL_DATA_DIR: dataDir }, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
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
export async function stop (process_: ChildProcess): Promise<void> {
  process.kill(-process_.pid!, 'SIGINT')
  await once(process_, 'exit')
}

/**
 * One shell for all commands, as in a terminal; curl replaces the documents' ports for those of this run.
 *
 * @param home where curl finds its settings
 */
export function openShell (t: Test, cwd: string, { api, inbox }: { api: string, inbox: string }, { home = cwd, env = process.env, timeoutMs = 30_000 } = {}) {
  const connectTo = (readmePort: number, url: string) => `connect-to = "localhost:${readmePort}:127.0.0.1:${new URL(url).port}"\n`
  writeFileSync(join(home, '.curlrc'), connectTo(3000, api) + connectTo(1080, inbox))
  const shell = spawn('sh', [], { cwd, env: { ...env, CURL_HOME: home }, stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => shell.kill('SIGKILL'))
  let output = ''
  shell.stdout.setEncoding('utf8').on('data', chunk => { output += chunk })
  return async (command: string): Promise<string> => {
    output = ''
    shell.stdin.write(`${command}\necho "<end $?>"\n`)
    await until(() => /<end \d+>\n$/.test(output), { timeoutMs })
    const [, answer = '', status] = /^([\s\S]*)<end (\d+)>\n$/.exec(output)!
    if (status !== '0') throw new Error(`${command}: exit code ${status}, ${answer}`)
    return answer.trim()
  }
}

export function hasCurl (): boolean {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return process.env['CI'] === 'true' // where it must be there, its absence is a failure
  }
}
