import { writeFileSync } from 'node:fs'
import t from 'tap'
import { makeScratch, type Scratch } from './scratch.ts'

/** What knip finds in a copy. */
async function findings (copy: Scratch): Promise<string> {
  const { status, output } = await copy.run(['node_modules/knip/bin/knip.js', '--reporter', 'compact'])
  return status === 0 ? '' : output
}

t.test('no file, export or package is unused', async t => {
  t.equal(await findings(makeScratch(t)), '')
})

t.test('an unused export, an unused file and an unlisted package are found', async t => {
  const copy = makeScratch(t)
  copy.edit({ 'scripts/signals.ts': [['/** Signals that', "import 'left-pad'\nexport const planted = 1\n/** Signals that"]] })
  writeFileSync(copy.path('src/shared/planted-file.ts'), '')
  const found = await findings(copy)
  t.match(found, /scripts\/signals\.ts: planted/)
  t.match(found, /scripts\/signals\.ts: left-pad/)
  t.match(found, /src\/shared\/planted-file\.ts/)
})
