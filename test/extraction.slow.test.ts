import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { buildTestApp } from './app.ts'
import { startEngines } from './engines.ts'
import { setVariables } from './environment.ts'
import { deliverMails, sqsRecord } from './modules/email/records.ts'

// Those that go from a request to a mail and back, of every module but e-mail.
const ROOT = resolve(import.meta.dirname, '..')
const files = globSync(['test/modules/users/{enrolment,events,expiry,profile,registration}.test.ts', 'test/modules/auth/{events,sign-in}.test.ts'], { cwd: ROOT }).sort()

t.test('with the e-mail module extracted, the tests of the other modules still pass', { timeout: 600_000 }, async t => {
  t.teardown(setVariables({ EMAIL_EXTRACTED: 'true' }))
  const engines = await startEngines(t)
  const extracted = await buildTestApp(t, engines)
  await t.rejects(deliverMails(extracted, { Records: [sqsRecord('x')] }), { message: 'Records of an unknown source: queue EmailQueue' }, 'what they are run with')
  t.equal(files.length, 7)
  const waiting = [...files]
  await Promise.all([1, 2].map(async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await run(file)
  }))

  async function run (file: string) {
    const child = spawn(process.execPath, [file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    const [[status], output] = await Promise.all([once(child, 'exit'), text(child.stdout)])
    t.equal(status, 0, file)
    t.ok((output.match(/^ *ok .*# time=/gm) ?? []).length > 3, `${file}: its tests were run`)
    for (const [failure] of output.matchAll(/^ *not ok .*$/gm)) t.fail(`${file}: ${failure.trim()}`)
  }
})
