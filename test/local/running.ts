import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUserService, type TokenStorage, type UserService } from '../../clients/typescript/src/index.ts'
import { until } from '../until.ts'

export const ROOT = new URL('../../', import.meta.url).pathname
export const SCRIPT = join(ROOT, 'scripts/start.ts')

export function newDir (t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-start-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Processes whose command line names a data directory: its engine and the engine's guard. */
export function processesOf (dir: string): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir)
    } catch {
      return false
    }
  })
}

export function run (t: Test, dir: string, env: Record<string, string> = {}, command = [process.execPath, SCRIPT]) {
  const child = spawn(command[0]!, command.slice(1), {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], PORT: '0', INBOX_PORT: '0', LOCAL_DATA_DIR: dir, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  child.stderr.on('data', chunk => { output += String(chunk) })
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  t.teardown(() => { child.kill('SIGKILL'); return exited })
  return { child, exited, output: () => output }
}

export async function start (t: Test, dir: string, env: Record<string, string> = {}, command?: string[]) {
  const running = run(t, dir, env, command)
  const isReady = () => /Ctrl-C stops everything/.test(running.output())
  await Promise.race([until(isReady, { timeoutMs: 60_000 }), running.exited])
  if (!isReady()) throw new Error(`it did not start: ${running.output()}`)
  const url = (label: string) => new RegExp(`^ {2}${label} +(http://localhost:\\d+\\S*)$`, 'm').exec(running.output())?.[1] ?? ''
  const seconds = Number(/is ready \(([\d.]+) s\)/.exec(running.output())?.[1])
  return { ...running, api: url('API'), docs: url('Swagger UI'), inbox: url('Inbox'), metrics: url('Metrics'), seconds }
}

export const post = (url: string, body: object, headers: Record<string, string> = {}) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

/** The mails in an inbox, as its JSON API lists them. */
export async function mailsIn (inbox: string) {
  const page = await (await fetch(`${inbox}/api/email`)).json() as { items?: object[] } | object[]
  return (Array.isArray(page) ? page : page.items ?? []) as { id: string, subject: string, to: { address: string }[], text?: string }[]
}

/** The code in the mail to an address, once the mail is there. */
export async function codeFor (inbox: string, email: string): Promise<string> {
  const mail = await until(async () => (await mailsIn(inbox)).find(({ to }) => to.some(({ address }) => address === email)))
  const { text } = await (await fetch(`${inbox}/api/email/${mail.id}`)).json() as { text: string }
  return /\b\d{8}\b/.exec(text)![0]
}

/** Registers a user and signs in with the code from the mail, as an application does. */
export async function register (api: string, inbox: string, email: string, storage?: TokenStorage): Promise<UserService> {
  const service = createUserService({ baseUrl: api, storage })
  const { data: { challengeId } } = await service.users.create({ body: { email, name: 'Ada Lovelace' } })
  await service.signIn({ challengeId, code: await codeFor(inbox, email) })
  return service
}

/** A start that is refused: why, with which environment, and how its one line begins. */
export type Refusal = [why: string, env: Record<string, string>, message: string]

/** Starts npm start with each of the environments, and expects one line that names a variable, and nothing left running. */
export async function expectRefusals (t: Test, refusals: Refusal[]): Promise<void> {
  const left = [...refusals]
  // Three at a time: on two cores more would only wait for each other.
  await Promise.all(Array.from({ length: 3 }, async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [why, env, message] = next
      const dir = newDir(t)
      const { exited, output } = run(t, dir, env)
      t.strictSame(await exited, [1, null], why)
      t.ok(output().startsWith(message), `${why}: ${output()}`)
      t.equal(output().trim().split('\n').length, 1, `${why}: one line`)
      t.match(output(), /(?:PORT|HOST|LOCAL_DATA_DIR|RATE_LIMIT_MAX)\b/, `${why}: names the variable`)
      t.strictSame(processesOf(dir), [])
    }
  }))
}
