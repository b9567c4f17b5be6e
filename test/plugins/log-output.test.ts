import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { completeEnv } from '../../local/env.ts'
import { createLogOutput } from '../../src/plugins/log-output.ts'
import { until } from '../until.ts'

const env = completeEnv() as NodeJS.ProcessEnv

/** A process that logs as the server does. */
function startLogger (t: Test, code: string): ChildProcess & { stdout: NodeJS.ReadableStream, stderr: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `
    const { createServerLogger } = await import('./src/plugins/logging.ts')
    const { loadConfig } = await import('./src/plugins/config.ts')
    const logger = createServerLogger(loadConfig(process.env))
    const log = (from, to) => { for (let i = from; i < to; i++) logger.info({ i, text: 'é'.repeat(100) }, 'line') }
    ${code}
  `], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  return child as never
}

type Line = { i?: number, lines?: number, level: string, msg?: string }
const linesIn = (output: string) => output.trim().split('\n').map(line => JSON.parse(line) as Line)

for (const [what, ending, expected] of [
  ['process.exit', 'process.exit(0)', 0],
  ['the end of its work', '', 0],
  ['an uncaught exception', 'throw new Error("the end")', 1],
  ['an unhandled rejection', 'Promise.reject(new Error("the end"))', 1]
] as const) {
  t.test(`every line before ${what} is written, in order`, async t => {
    const child = startLogger(t, `log(0, 500); setImmediate(() => { log(500, 1000); ${ending} })`)
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close'), text(child.stderr)])
    t.equal(code, expected)
    t.same(linesIn(output).map(({ i }) => i), Array.from({ length: 1000 }, (_, i) => i))
  })
}

t.test('a reader that stalls stops neither the process nor its end, and what it has missed is reported', async t => {
  const child = startLogger(t, `
    let i = 0
    const timer = setInterval(() => { log(i, i += 1000); if (i === 10_000) { clearInterval(timer); console.error('goes on') } }, 5)
    process.stdin.once('data', () => { log(i, i + 1); setInterval(() => {}, 1000) })
    process.stdin.once('end', () => { log(0, 5000); process.exit(0) })
  `)
  child.stdout.pause()
  await until(async () => String((await once(child.stderr, 'data'))[0]).includes('goes on'))

  const lines: Line[] = []
  const reader = createInterface({ input: child.stdout as never })
  reader.on('line', line => { lines.push(JSON.parse(line) as Line) })
  await until(() => lines.some(line => line.level === 'warn'))
  child.stdin!.write('x')
  await until(() => lines.some(({ i }) => i === 10_000))
  const written = lines.filter(({ i }) => i !== undefined)
  const [{ lines: missing, msg } = {}] = lines.filter(line => line.level === 'warn')
  t.equal(msg, 'lines of the log are missing here: its reader was too slow')
  t.ok(missing! > 0)
  t.equal(written.length + missing!, 10_001)
  // Where some lines have left the buffer meanwhile, later ones are held behind those that are missing.
  t.ok(written.every(({ i }, at) => at === 0 || i! > written[at - 1]!.i!), 'what was held is in order, and nothing twice')

  reader.close()
  child.stdout.pause()
  const start = performance.now()
  child.stdin!.end()
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  t.ok(performance.now() - start < 3000, `ended after ${Math.round(performance.now() - start)} ms`)
})

t.test('a disk that is full stops nothing, and is not tried without a line', { skip: process.platform !== 'linux' && 'not run: needs /dev/full' }, async t => {
  const output = createLogOutput(openSync('/dev/full', 'w'))
  let reported = 0
  output.onDropped = () => { reported++; output.write('x\n') }
  for (let turn = 0; turn < 10; turn++) {
    output.write('x\n')
    await new Promise(resolve => setImmediate(resolve))
  }
  t.equal(reported, 0)
})

t.test('a server that is stopped by SIGTERM writes its last lines', async t => {
  // A port that is free: the server prints none before it logs.
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as { port: number }
  await new Promise(resolve => free.close(resolve))
  const child = spawn(process.execPath, ['src/server.ts'], { env: { ...env, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const output = text(child.stdout)
  await until(() => fetch(`http://127.0.0.1:${port}/v2/users/me`, { headers: { connection: 'close' } }).then(async response => { await response.text(); return response.status === 401 }, () => false))
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  t.match(linesIn(await output).filter(({ level }) => level === 'info').map(({ msg }) => msg).slice(-2), ['answered', 'stopping'])
})
