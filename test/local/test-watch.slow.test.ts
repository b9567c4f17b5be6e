import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { ROOT } from './npm-scripts.ts'
import { processesOf } from './running.ts'

const passing = (imported: string) => `import t from 'tap'\nimport { value } from '${imported}'\nt.test('a', async t => { t.equal(value, 1) })\n`

/** A project of a few files, and `npm test -- --watch` in it, off a terminal or on one. */
function watch (t: Test, { args = [], onTerminal = false }: { args?: string[], onTerminal?: boolean } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-watch-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const write = (file: string, text: string) => {
    mkdirSync(join(dir, file, '..'), { recursive: true })
    writeFileSync(join(dir, file), text)
  }
  write('src/shared/one.ts', 'export const value = 1\n')
  write('src/modules/notes/service.ts', 'export const value = 1\n')
  write('src/app.ts', "import './modules/notes/service.ts'\nexport const value = 1\n")
  write('test/shared/one.test.ts', passing('../../src/shared/one.ts'))
  write('test/modules/notes/notes.test.ts', passing('../../../src/app.ts'))
  write('test/other.test.ts', passing('../src/app.ts'))
  const command = [process.execPath, join(ROOT, 'scripts/test.ts'), '--watch', ...args]
  const child = onTerminal
    ? spawn('script', ['--quiet', '--flush', '--command', command.join(' '), '/dev/null'], { cwd: dir, detached: true })
    : spawn(command[0]!, command.slice(1), { cwd: dir, detached: true })
  t.teardown(() => { try { process.kill(-child.pid!, 'SIGKILL') } catch {} })
  const exited = once(child, 'exit') as Promise<[number | null]>
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += stripVTControlCharacters(text) })
  let seen = 0
  return {
    dir,
    child,
    exited,
    write,
    /** What was printed since the last time, up to when it waits for a change. */
    async waits (): Promise<string> {
      await until(() => output.includes('Waiting for a change', seen), { timeoutMs: 60_000 })
      const text = output.slice(seen)
      seen = output.length
      return text
    },
    prints: (pattern: RegExp) => until(() => pattern.test(output), { timeoutMs: 60_000 })
  }
}

t.test('a change runs the files that mirror it or import it, and nothing else', async t => {
  const { child, exited, write, waits } = watch(t)
  t.notMatch(await waits(), /^ok/m, 'nothing has changed yet')

  write('src/shared/one.ts', 'export const value = 2\n')
  const broken = await waits()
  t.match(broken, /^src\/shared\/one\.ts: 1 file$/m)
  t.match(broken, /^FAILED test\/shared\/one\.test\.ts/m)
  t.match(broken, /^0 passed, 1 failed$/m)

  write('src/modules/notes/service.ts', 'export const value = 3\n')
  const mirrored = await waits()
  t.match(mirrored, /^src\/modules\/notes\/service\.ts: 1 file$/m)
  t.match(mirrored, /^ok {5}test\/modules\/notes\/notes\.test\.ts/m)
  t.notMatch(mirrored, 'other.test.ts', 'what imports it through the app only is not run')

  write('test/other.test.ts', `${passing('../src/app.ts')}// changed\n`)
  t.match(await waits(), /^ok {5}test\/other\.test\.ts/m)

  process.kill(-child.pid!, 'SIGINT')
  t.strictSame(await exited, [130, null])
})

t.test('named files run at once, and after a change of anything that they import; a change ends a run', async t => {
  const { dir, child, exited, write, waits, prints } = watch(t, { args: ['test/other.test.ts'] })
  t.match(await waits(), /^ok {5}test\/other\.test\.ts/m)
  write('src/modules/notes/service.ts', 'export const value = 3\n')
  t.match(await waits(), /^ok {5}test\/other\.test\.ts/m)
  write('src/shared/one.ts', 'export const value = 2\n')
  t.match(await waits(), /^src\/shared\/one\.ts: no test imports it/m)

  write('test/other.test.ts', `import t from 'tap'\nimport { writeFileSync } from 'node:fs'\nt.test('hangs', () => new Promise(() => { writeFileSync('${dir}/hangs', ''); setInterval(() => {}, 1000) }))\n`)
  await prints(/test\/other\.test\.ts: 1 file/)
  await until(() => existsSync(join(dir, 'hangs')), { timeoutMs: 60_000 })
  write('test/other.test.ts', passing('../src/app.ts'))
  t.match(await waits(), /^ok {5}test\/other\.test\.ts/m, 'the run that hung has made way')

  process.kill(-child.pid!, 'SIGINT')
  t.strictSame(await exited, [130, null])
  t.strictSame(processesOf(dir), [])
})

t.test('on a terminal, Ctrl-C ends it too', async t => {
  const { child, exited, write, waits } = watch(t, { onTerminal: true })
  await waits()
  write('src/shared/one.ts', 'export const value = 1\n\n')
  t.match(await waits(), /ok {5}test\/shared\/one\.test\.ts/)
  child.stdin.write('\x03')
  await exited
  t.pass('it has ended')
})
