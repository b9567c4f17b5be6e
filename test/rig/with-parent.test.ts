import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'

t.test('a process of the rig ends with the test that started it, and may end before', async t => {
  const start = (script: string) => spawn(process.execPath, ['--no-warnings', '--import', './test/rig/with-parent.ts', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const running = start('console.log("ready"); setInterval(() => {}, 1000)')
  await once(running.stdout, 'data')
  running.stdin.destroy()
  t.strictSame(await once(running, 'exit'), [null, 'SIGKILL'])
  t.strictSame(await once(start(''), 'exit'), [0, null])
})
