import { execFileSync } from 'node:child_process'
import fs, { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLogOutput, type LogOutput } from '../../src/plugins/log-output.ts'
import { until } from '../until.ts'

const LINE = 1024
/** As much as may wait for a reader. */
const MAX_HELD = 1024 * 1024

const turn = () => new Promise(resolve => setImmediate(resolve))
const line = (n: number) => `${String(n).padStart(LINE - 1, 'é').slice(0, LINE - 1)}\n`

/** A pipe that does not block and its output, whose reader reads when the test does. */
function startPipe (t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'log-output-'))
  const path = join(dir, 'pipe')
  execFileSync('mkfifo', [path])
  const openReader = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  let reader = openReader()
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  const output = createLogOutput(writer)
  const atExit = process.listeners('exit').at(-1) as () => void
  const dropped: number[] = []
  output.onDropped = lines => { dropped.push(lines) }
  t.teardown(() => {
    process.removeListener('exit', atExit)
    for (const fd of [reader, writer]) closeSync(fd)
    rmSync(dir, { recursive: true })
  })
  const chunks: Buffer[] = []
  const buffer = Buffer.alloc(1024 * 1024)
  return {
    output,
    dropped,
    atExit,
    /** All that has been read so far. */
    read (): string {
      try {
        for (let length = readSync(reader, buffer); length > 0; length = readSync(reader, buffer)) chunks.push(Buffer.from(buffer.subarray(0, length)))
      } catch (error) {
        if ((error as { code?: string }).code !== 'EAGAIN') throw error
      }
      return Buffer.concat(chunks).toString()
    },
    leave () { closeSync(reader) },
    comeBack () { reader = openReader() }
  }
}

/** Makes the writes of the process go wrong, or counts them. @returns what ends it */
function interceptWrites (step: () => void): () => void {
  const { writeSync } = fs
  fs.writeSync = ((...args: Parameters<typeof writeSync>) => { step(); return writeSync(...args) }) as typeof writeSync
  syncBuiltinESMExports()
  return () => {
    fs.writeSync = writeSync
    syncBuiltinESMExports()
  }
}

function fill (output: LogOutput, count: number): void {
  for (let n = 0; n < count; n++) output.write(line(n))
}
const numbered = (count: number) => Array.from({ length: count }, (_, n) => line(n)).join('')

t.test('the lines of one turn are one write, after the turn', async t => {
  const { output, read, dropped } = startPipe(t)
  let writes = 0
  const stop = interceptWrites(() => { writes++ })
  for (const text of ['one\n', 'two\n', 'drei ä\n']) output.write(text)
  t.equal(read(), '')
  await turn()
  t.equal(writes, 1)
  t.equal(read(), 'one\ntwo\ndrei ä\n')
  output.write('four\n')
  await turn()
  stop()
  t.equal(writes, 2)
  t.equal(read(), 'one\ntwo\ndrei ä\nfour\n')
  t.same(dropped, [])
})

t.test('a reader that is slow gets every line as it was, and is not asked with each of them', async t => {
  const { output, read, dropped } = startPipe(t)
  const COUNT = 300
  fill(output, COUNT)
  await turn()
  let attempts = 0
  const stop = interceptWrites(() => { attempts++ })
  const start = performance.now()
  for (let n = COUNT; n < COUNT + 50; n++) {
    output.write(line(n))
    await turn()
  }
  t.ok(attempts <= 2 + (performance.now() - start) / 20, `${attempts} attempts`)
  stop()
  await until(() => read().length >= numbered(COUNT + 50).length)
  t.ok(read() === numbered(COUNT + 50))
  t.same(dropped, [])
})

t.test('what is more than may wait is dropped, and reported once there is a reader', async t => {
  const { output, read, dropped } = startPipe(t)
  const most = MAX_HELD / LINE + 1
  fill(output, most + 5)
  await turn()
  await turn()
  t.same(dropped, [], 'nothing is said while no one reads')
  await until(() => { read(); return dropped.length > 0 })
  t.same(dropped, [5])
  t.ok(read() === numbered(most))
  output.write('next\n')
  await until(() => read().endsWith('next\n'))
  await turn()
  t.same(dropped, [5], 'and reported once')
})

t.test('what was not read yet counts towards what may wait', async t => {
  const { output, read, dropped } = startPipe(t)
  const most = MAX_HELD / LINE + 1
  fill(output, most)
  await turn()
  fill(output, 500)
  await until(() => read().split('\n').length - 1 + (dropped[0] ?? 0) === most + 500)
  t.ok(dropped[0]! > 300, `${dropped[0]} lines`)
})

t.test('lines for a reader that has gone are counted, and what comes after is written', async t => {
  const { output, read, dropped, leave, comeBack } = startPipe(t)
  leave()
  for (const text of ['one\n', 'two\n', 'three\n']) output.write(text)
  await turn()
  output.write('four\n')
  await turn()
  t.same(dropped, [])
  comeBack()
  output.write('five\n')
  await turn()
  t.equal(read(), 'five\n')
  t.same(dropped, [4])
})

t.test('a file that is busy for a moment loses nothing, and one that fails loses what was to be written', async t => {
  for (const [code, lost] of [['EBUSY', false], ['EAGAIN', false], ['EIO', true], [undefined, true]] as const) {
    const { output, read, dropped } = startPipe(t)
    const stop = interceptWrites(() => { throw Object.assign(new Error('no'), { code }) })
    output.write('one\n')
    await turn()
    stop()
    output.write('two\n')
    await until(() => read().endsWith('two\n'))
    t.equal(read(), lost ? 'two\n' : 'one\ntwo\n', String(code))
    t.same(dropped, lost ? [1] : [])
  }
})

t.test('at its exit the process writes what it holds, and waits half a second for a reader, if there is one', async t => {
  const { wait } = Atomics
  let waits = 0
  Atomics.wait = ((...args: Parameters<typeof wait>) => { waits++; return wait(...args) }) as typeof wait
  t.teardown(() => { Atomics.wait = wait })
  const quick = startPipe(t)
  quick.output.write('last\n')
  for (let i = 0; i < 2; i++) {
    quick.atExit()
    t.equal(quick.read(), 'last\n')
  }
  const gone = startPipe(t)
  gone.output.write('last\n')
  gone.leave()
  gone.atExit()
  gone.comeBack()
  t.equal(waits, 0, 'for a reader that reads, and one that has gone, it does not wait')

  const stalled = startPipe(t)
  fill(stalled.output, 300)
  const start = performance.now()
  stalled.atExit()
  const waited = performance.now() - start
  t.ok(waited > 450, `${waited} ms`)
  t.ok(waits > 1, 'asleep')
})
