import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import Fastify, { LogController } from 'fastify'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import logging, { createLogger, createServerLogger } from '../../src/plugins/logging.ts'
import metrics from '../../src/plugins/metrics.ts'
import { until } from '../until.ts'

/** A logger and what it has written. */
function recorded (env: Record<string, string> = {}) {
  const loaded = loadConfig(completeEnv({ STAGE: 'staging', ...env }))
  const lines: Record<string, unknown>[] = []
  return { loaded, lines, logger: createLogger(loaded, { write: line => { lines.push(JSON.parse(line) as Record<string, unknown>) } }) }
}

const BASE = { service: 'user-service', environment: 'staging' }

t.test('a line says when, how serious, and of which service and stage, and is left out below the level', async t => {
  const { lines, logger } = recorded({ LOG_LEVEL: 'warn' })
  logger.info('no')
  logger.warn({ a: 1 }, 'yes')
  const [{ time, ...line } = {}, ...more] = lines
  t.same(line, { ...BASE, level: 'warn', a: 1, msg: 'yes' })
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.same(more, [])
})

t.test('of errors, requests and answers only known fields are written', async t => {
  const { lines, logger } = recorded()
  const { stack, ...error } = Object.assign(new RangeError('no'), { secret: 'secret', stack: 'at x' })
  const failed = Object.assign(new Error('no'), { name: 'ThrottlingException', code: 'E1', statusCode: 400, stack, $metadata: { requestId: 'r1', attempts: 3, cfId: 'secret' } })
  const [plain, emptied] = [Object.assign(new RangeError('no'), error, { stack }), Object.assign(new Error('no'), { stack, $metadata: {} })]
  for (const err of [failed, plain, emptied]) logger.error({ err })
  t.same(lines.map(({ err }) => err), [
    { type: 'ThrottlingException', code: 'E1', statusCode: 400, message: 'no', stack, awsRequestId: 'r1', attempts: 3 },
    { type: 'RangeError', message: 'no', stack },
    { type: 'Error', message: 'no', stack }
  ])
  lines.length = 0
  logger.info({ req: { method: 'GET', url: '/secret', routeOptions: { url: '/a/:id' } }, res: { statusCode: 200, secret: 1 } })
  logger.info({ req: { method: 'PUT', headers: { secret: 1 } } })
  t.same(lines.map(({ req, res }) => [req, res]), [[{ method: 'GET', route: '/a/:id' }, { statusCode: 200 }], [{ method: 'PUT' }, undefined]])
})

t.test('an answer is a line with its route, its status, whose request it was, and what its route adds', async t => {
  const { loaded, lines, logger } = recorded()
  const app = Fastify({ loggerInstance: logger, logController: new LogController({ requestIdLogLabel: 'correlationId', disableRequestLogging: true }), genReqId: () => 'c1' })
  t.teardown(() => app.close())
  await app.register(config, { config: loaded })
  await app.register(metrics, {})
  await app.register(logging)
  let ended = 0
  app.addHook('onResponse', async () => { ended++ })
  app.get('/a/:id', async request => { request.audit['sid'] = 's1' })
  app.post('/b', async request => {
    Object.assign(request, { user: { userId: 'u1', email: 'secret' } })
    return { audit: request.audit }
  })
  const answers = [await app.inject('/a/secret?secret'), await app.inject({ method: 'POST', url: '/b' }), await app.inject('/secret')]
  t.same(answers[1]!.json(), { audit: {} }, 'nothing of the request before')
  await until(() => lines.length === 3 && ended === 3)
  for (const { time, durationMs } of lines) {
    t.ok(time)
    t.ok(Number(durationMs) > 0 && Number(durationMs) < 60_000 && /^\d+(?:\.\d)?$/.test(String(durationMs)), String(durationMs))
  }
  const answered = { ...BASE, level: 'info', correlationId: 'c1', msg: 'answered' }
  t.same(lines.map(({ time, durationMs, ...line }) => line), [
    { ...answered, method: 'GET', route: '/a/:id', statusCode: 200, sid: 's1' },
    { ...answered, method: 'POST', route: '/b', statusCode: 200, userId: 'u1' },
    { ...answered, method: 'GET', statusCode: 404 }
  ])
})

/** What is written by `step`, and where. Nothing of it goes there. */
function writesOf (step: () => void): [fd: number, text: string][] {
  const writes: [number, string][] = []
  const { writeSync } = fs
  fs.writeSync = ((fd: number, text: string | Buffer) => {
    writes.push([fd, String(text)])
    return Buffer.byteLength(text)
  }) as typeof writeSync
  syncBuiltinESMExports()
  try {
    step()
  } finally {
    fs.writeSync = writeSync
    syncBuiltinESMExports()
  }
  return writes
}

t.test('on Lambda a line is written to standard output before the call returns: the process may be frozen next', async t => {
  const writes = writesOf(() => { createLogger(loadConfig(completeEnv())).info('now') })
  t.same(writes.map(([fd, text]) => [fd, (JSON.parse(text) as { msg: string }).msg]), [[1, 'now']])
})

t.test('a server’s log says how many of its lines are missing, where they are', async t => {
  const before = process.listeners('exit')
  const logger = createServerLogger(loadConfig(completeEnv({ STAGE: 'staging' })))
  const [atExit] = process.listeners('exit').filter(listener => !before.includes(listener)) as [() => void]
  process.removeListener('exit', atExit)
  const text = 'x'.repeat(1000)
  for (let i = 0; i < 1100; i++) logger.info({ text }, 'line')
  t.same(writesOf(() => {}), [], 'it waits for no reader')
  const written: string[] = []
  const { writeSync } = fs
  fs.writeSync = ((_fd: number, chunk: Buffer) => { written.push(String(chunk)); return chunk.length }) as typeof writeSync
  syncBuiltinESMExports()
  t.teardown(() => {
    fs.writeSync = writeSync
    syncBuiltinESMExports()
  })
  await until(() => written.length === 2)
  fs.writeSync = writeSync
  syncBuiltinESMExports()
  const lines = written.join('').trim().split('\n').map(line => JSON.parse(line) as { msg: string, lines?: number })
  const kept = lines.filter(({ msg }) => msg === 'line').length
  const { time, ...report } = lines.at(-1) as Record<string, unknown>
  t.same(report, { ...BASE, level: 'warn', lines: 1100 - kept, msg: 'lines of the log are missing here: its reader was too slow' })
  t.ok(kept > 700 && kept < 1100, `${kept} lines`)
})
