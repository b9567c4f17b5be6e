import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { mailsIn, newDir, post, processesOf, register, run, start } from './running.ts'

const mount = (path: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', path], { stdio: 'ignore' })

/** Only root can make a disk to fill, and not in every container. */
function cannotMount (): string | false {
  const path = mkdtempSync(join(tmpdir(), 'user-service-disk-'))
  try {
    mount(path)
    execFileSync('umount', [path])
    return false
  } catch {
    return 'not run: no disk can be mounted here'
  } finally {
    rmSync(path, { recursive: true })
  }
}
const skip = cannotMount()

/** A disk of 12 MB, which is gone with the test, and a way to fill it. */
function smallDisk (t: Test) {
  const path = join(newDir(t), 'disk')
  mkdirSync(path)
  mount(path)
  // Lazily: what is being killed may still have files there.
  t.teardown(() => execFileSync('umount', ['-l', path]))
  const filler = join(path, 'filler')
  return {
    path,
    data: join(path, 'data'),
    fill (left = 0) {
      const { bavail, bsize } = statfsSync(path)
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - left)))
    },
    free: () => rmSync(filler)
  }
}

t.test('a disk that fills up ends nothing: it is said, and all goes on when there is space', { skip }, async t => {
  const disk = smallDisk(t)
  const system = await start(t, disk.data, { RATE_LIMIT_MAX: '100000' })
  await register(system.api, system.inbox, 'ada@example.com')
  // Some are acknowledged while the last of it is used up.
  disk.fill(150_000)
  const acknowledged: string[] = []
  for (let i = 0; i < 40; i++) {
    const email = `user${i}@example.com`
    if ((await post(`${system.api}/v2/users`, { email, name: 'Ada' })).status === 202) acknowledged.push(email)
  }
  t.ok(acknowledged.length < 40, 'the disk is full')
  await until(() => system.output().includes(`LOCAL_DATA_DIR: the disk of ${disk.data} is full, writes fail or wait\n`))
  t.equal((await fetch(`${system.api}/health/live`)).status, 200)

  // The engine's end, too, is waited out.
  const engine = processesOf(disk.data)
  for (const pid of engine) process.kill(pid, 'SIGKILL')
  await until(() => !processesOf(disk.data).some(pid => engine.includes(pid)))
  t.equal((await fetch(`${system.api}/health/live`)).status, 200)

  disk.free()
  await until(() => system.output().includes('There is space again\n'))
  await until(async () => (await fetch(`${system.api}/health/ready`)).status === 200, { timeoutMs: 20_000 })
  await register(system.api, system.inbox, 'grace@example.com')
  t.equal(system.child.exitCode, null)
  t.comment(`${acknowledged.length} acknowledged on the last 150 KB, ${(await mailsIn(system.inbox)).length - 2} of their mails there`)
})

t.test('a start on a full disk says so and waits', { skip }, async t => {
  const disk = smallDisk(t)
  disk.fill()
  const running = run(t, disk.data)
  await until(() => running.output() === `LOCAL_DATA_DIR: the disk of ${disk.data} is full, waiting for space\n`)
  disk.free()
  await until(() => running.output().includes('is ready ('), { timeoutMs: 30_000 })
})
