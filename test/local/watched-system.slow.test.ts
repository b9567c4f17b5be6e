import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../until.ts'
import { makeScratch } from '../house/scratch.ts'
import { codeFor, mailsIn, newDir, post, processesOf, register, start } from './running.ts'

/** The processes whose parent is this one. */
function childrenOf (parent: number): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1]) === parent
    } catch {
      return false
    }
  })
}

const isApp = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('app-child')

t.test('a change restarts the app alone; engines, data, inbox and unfinished work go on', async t => {
  const copy = makeScratch(t)
  const dir = newDir(t)
  const { child, api, inbox, output, exited } = await start(t, dir, {}, [process.execPath, copy.path('scripts/start.ts'), '--watch'])
  const times = (pattern: RegExp) => output().match(new RegExp(pattern, 'g'))?.length ?? 0
  const title = async () => (await (await fetch(`${api}/openapi/v2.json`)).json() as { info: { title: string } }).info.title
  const service = await register(api, inbox, 'ada@example.com')
  const engines = processesOf(dir)
  const before = readFileSync(copy.path('src/api.ts'), 'utf8')
  const save = (text: string) => writeFileSync(copy.path('src/api.ts'), text)

  save(before.replace('User service, version 2', 'Changed'))
  await until(() => times(/has changed: the app has started again/) === 1)
  t.comment(/\(.* s\)$/m.exec(output().slice(output().indexOf('has changed')))?.[0])
  t.equal(await title(), 'Changed')
  t.strictSame(processesOf(dir), engines, 'the engine is the same process')
  t.equal((await mailsIn(inbox)).length, 1, 'the inbox has its mail')
  t.equal((await service.users.getMe()).status, 200, 'the data is there')

  save('const broken = (')
  await until(() => /The app has ended\. It starts again after the next change\.$/m.test(output()))
  t.match(output(), /src\/api\.ts:1\nconst broken = \(/, 'and says what is wrong')
  await t.rejects(fetch(`${api}/health/live`))
  save(before)
  await until(() => times(/has changed: the app has started again/) === 2)
  t.equal(await title(), 'User service, version 2')

  // Killed at once after its answer: the mail is not sent yet, or is being sent.
  const { challengeId } = await (await post(`${api}/v2/users`, { email: 'grace@example.com', name: 'Grace Hopper' })).json() as { challengeId: string }
  process.kill(childrenOf(child.pid!).find(isApp)!, 'SIGKILL')
  await until(() => times(/The app has ended/) === 2)
  save(before)
  await until(() => times(/has changed: the app has started again/) === 3)
  const code = await codeFor(inbox, 'grace@example.com')
  t.equal((await post(`${api}/v2/auth/tokens`, { grantType: 'code', challengeId, code })).status, 200, 'a kill of the app has lost nothing')

  child.kill('SIGINT')
  t.strictSame(await exited, [0, null])
  t.strictSame(processesOf(dir), [])
})

t.test('no process outlives npm run dev, and one whose app does not run can be stopped', async t => {
  const copy = makeScratch(t)
  const dir = newDir(t)
  const killed = await start(t, dir, {}, [process.execPath, copy.path('scripts/start.ts'), '--watch'])
  const children = childrenOf(killed.child.pid!)
  t.equal(children.filter(isApp).length, 1)
  killed.child.kill('SIGKILL')
  await until(() => processesOf(dir).length === 0 && children.every(pid => !readdirSync('/proc').includes(String(pid))))

  copy.edit({ 'src/api.ts': [['export const API', 'export const NO_API']] })
  const broken = await start(t, dir, {}, [process.execPath, copy.path('scripts/start.ts'), '--watch'])
  t.match(broken.output(), /does not provide an export named 'API'/)
  broken.child.kill('SIGINT')
  t.strictSame(await broken.exited, [0, null], 'in good time: a stop that hangs ends with 1')
})

t.test('a debugger stops at a line of the source', async t => {
  const dir = newDir(t)
  const { api, output } = await start(t, dir, {}, [process.execPath, 'scripts/start.ts', '--inspect-port=0'])
  const [, address] = /Debugger listening on (ws:\S+)/.exec(output())!
  const socket = new WebSocket(address!)
  t.teardown(() => socket.close())
  const messages: { id?: number, method?: string, params?: { scriptId?: string, url?: string, callFrames?: { location: { scriptId: string, lineNumber: number } }[] }, result?: { locations: unknown[] } }[] = []
  socket.addEventListener('message', ({ data }) => { messages.push(JSON.parse(String(data)) as typeof messages[number]) })
  await until(() => socket.readyState === WebSocket.OPEN)
  let id = 0
  const send = async (method: string, params = {}) => {
    const own = ++id
    socket.send(JSON.stringify({ id: own, method, params }))
    return (await until(() => messages.find(message => message.id === own))).result!
  }
  await send('Debugger.enable')
  const file = 'src/modules/health/service.ts'
  const lines = readFileSync(file, 'utf8').split('\n')
  const lineNumber = lines.findIndex(line => line.includes('timestamp'))
  const { locations } = await send('Debugger.setBreakpointByUrl', { lineNumber, urlRegex: `${file.replaceAll('/', '\\/')}$` })
  t.equal(locations.length, 1, 'the breakpoint is in the script that runs')
  const answer = fetch(`${api}/health/ready`)
  const { params } = await until(() => messages.find(({ method }) => method === 'Debugger.paused'))
  const { scriptId, lineNumber: stoppedAt } = params!.callFrames![0]!.location
  const script = messages.find(({ method, params }) => method === 'Debugger.scriptParsed' && params?.scriptId === scriptId)
  t.strictSame([script?.params?.url, stoppedAt], [`file://${join(process.cwd(), file)}`, lineNumber])
  await send('Debugger.resume')
  t.equal((await answer).status, 200)
})
