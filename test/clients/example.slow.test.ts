import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { join } from 'node:path'
import t from 'tap'
import { newDir, ROOT, start } from '../local/running.ts'

t.test('the example program carries one user through the service that npm start runs', async t => {
  const { api, inbox } = await start(t, newDir(t))
  const child = spawn(process.execPath, [join(ROOT, 'examples/quickstart/story.ts')], { env: { PATH: process.env['PATH'], API_URL: api, INBOX_URL: inbox }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  t.equal(code, 0, errors)
  const lines = output.trim().split('\n')
  for (const step of [/^registered and signed in: Ada Lovelace, ACTIVE$/, /^changed the name: Ada Lovelace is Ada King now$/, /^a bad name is refused: VALIDATION_FAILED, /, /^changed the address: ada\..* is countess\./, /^uploaded an avatar: http/, /^signed in on a second device$/, /^ended a session, 2 are left$/, /^exported: .*\w/, /^deleted the account/]) {
    t.ok(lines.some(line => step.test(line)), `${step} is in: ${output}`)
  }
})
