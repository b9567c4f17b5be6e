import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { startEngines } from '../engines.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)
const CLIENTS = 300
const BUNDLE = '/docs/swagger-ui-bundle.js'

t.test('300 clients of the largest file at once, and 300 that never read it, cost less than 100 MB', { skip: process.platform !== 'linux' && 'reads /proc' }, async t => {
  const port = await freePort()
  const child = spawn(process.execPath, ['src/server.ts'], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...engines.env, LOG_LEVEL: 'error', PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  await until(() => fetch(`http://127.0.0.1:${port}/health/live`).then(answer => answer.ok, () => false), { timeoutMs: 30_000 })
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024
  // One connection a client, so that all of them are answered at the same moment.
  const agent = new Agent({ maxSockets: Infinity })
  const get = (coding: string) => new Promise<number>((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: BUNDLE, agent, headers: { 'accept-encoding': coding } }, answer => {
      let bytes = 0
      answer.on('data', (chunk: Buffer) => { bytes += chunk.length }).once('end', () => resolve(bytes)).once('error', reject)
    }).once('error', reject).end()
  })
  const whole = await get('identity')
  t.ok(whole > 1_000_000, `${whole} bytes`)
  t.ok(await get('br') < whole / 3)

  const before = resident()
  let peak = before
  const watch = setInterval(() => { peak = Math.max(peak, resident()) }, 5)
  t.teardown(() => clearInterval(watch))
  const sizes = await Promise.all(Array.from({ length: CLIENTS }, () => get('identity')))
  t.same([...new Set(sizes)], [whole])
  const reading = peak - before
  t.ok(reading < 100, `+ ${reading.toFixed(0)} MB`)

  const sockets = Array.from({ length: CLIENTS }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  // Node reads what fits its own buffer, and no more.
  for (const socket of sockets) socket.write(`GET ${BUNDLE} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  await until(() => sockets.every(({ readableLength }) => readableLength > 0))
  t.equal(await get('gzip') > 0, true, 'others are served')
  const idle = peak - before
  t.ok(idle < 100, `+ ${idle.toFixed(0)} MB`)
  t.comment(`${CLIENTS} clients at once: memory + ${reading.toFixed(0)} MB; ${CLIENTS} more that never read: + ${idle.toFixed(0)} MB`)
})
