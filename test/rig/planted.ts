// Loaded before a process whose build is broken on purpose: RIG_PLANTED names the bug of bugs.ts or property-bugs.ts.
import { registerHooks } from 'node:module'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BUGS, withBug } from './bugs.ts'
import { PROPERTY_BUGS } from './property-bugs.ts'

const name = process.env['RIG_PLANTED'] ?? ''
const bug = BUGS[name] ?? PROPERTY_BUGS[name]
if (bug === undefined) throw new Error('RIG_PLANTED names no bug')
const url = new URL(`../../${bug.file}`, import.meta.url).href

registerHooks({
  load: (loaded, context, next) => loaded === url
    ? { format: 'module-typescript', source: withBug(readFileSync(fileURLToPath(url), 'utf8'), bug), shortCircuit: true }
    : next(loaded, context)
})
