import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CHROMIUM } from '../../scripts/chromium.ts'
import { MAX_BYTES, PICTURES } from '../../scripts/pictures.ts'
import { newDir, processesOf, ROOT, run } from './running.ts'

const skip = !existsSync(CHROMIUM) && process.env['CI'] !== 'true' && 'not run (Chromium is missing)'

t.test('npm run pictures takes each picture, small enough for a page, and leaves nothing running', { skip, timeout: 600_000 }, async t => {
  const dir = newDir(t)
  const { exited, output } = run(t, dir, {}, [process.execPath, join(ROOT, 'scripts/pictures.ts'), '--to', dir])
  t.strictSame(await exited, [0, null], output())
  t.strictSame(readdirSync(dir).sort(), [...PICTURES].sort())
  for (const name of PICTURES) {
    const picture = readFileSync(join(dir, name))
    t.equal(picture.toString('latin1', 8, 12), 'WEBP', name)
    // A page that is blank has less than 2 kB.
    t.ok(picture.length > 5000 && picture.length <= MAX_BYTES, `${name}: ${picture.length} bytes`)
  }
  t.strictSame(processesOf('examples/web/serve.ts'), [])
})
