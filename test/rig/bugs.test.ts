import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { resolve } from 'node:path'
import t from 'tap'
import { BUGS, withBug } from './bugs.ts'

t.test('each planted bug still applies, and its build can be loaded', async t => {
  t.equal(Object.keys(BUGS).length, 5)
  for (const [name, bug] of Object.entries(BUGS)) {
    const text = readFileSync(resolve(import.meta.dirname, '../..', bug.file), 'utf8')
    t.doesNotThrow(() => stripTypeScriptTypes(withBug(text, bug)), name)
  }
  t.throws(() => withBug('', Object.values(BUGS)[0]!), /holds this text 0 times/)
})
