import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// The first import of every file with mutants in the copy. It says which mutant is active, and keeps which ones were reached. Both are
// in files, because a test that starts the service as a process of its own gives it another environment. worker.ts does without them.

const dir = import.meta.dirname

/** Times that the code of the active mutant may run: a mutant that makes a loop endless ends here, and not by a timeout. */
const HIT_LIMIT = 2_000_000

function watchThisProcess (): void {
  const active = readFileSync(join(dir, 'active'), 'utf8')
  const stryker = { activeMutant: active, hitCount: 0, hitLimit: HIT_LIMIT, currentTestId: 'top', mutantCoverage: { static: {}, perTest: {} as Record<string, Record<string, number>> } }
  Object.assign(globalThis, { __stryker__: stryker })
  let written = -1
  function write (): void {
    if (active !== '') {
      if (stryker.hitCount > 0 && written < 0) appendFileSync(join(dir, 'reached'), `${active}\n`)
      written = stryker.hitCount > 0 ? 1 : -1
      return
    }
    const reached = new Set(Object.values(stryker.mutantCoverage.perTest).flatMap(Object.keys))
    if (reached.size === written) return
    written = reached.size
    writeFileSync(join(dir, `reached-${process.pid}`), [...reached].map(id => `${id}\n`).join(''))
  }
  // Some tests kill the processes that they start, which then do not come to their end.
  setInterval(write, 250).unref()
  process.on('exit', write)
}

interface Global { __stryker__?: { currentTestId: string }, __loading__?: { begin (): void, end (): void } }
const here = globalThis as Global
if (here.__stryker__ === undefined) watchThisProcess()
const stryker = here.__stryker__!

let depth = 0
let before = ''
/** Around the body of each module: what it runs is reached by the module's loading, not by a test. */
here.__loading__ = {
  begin () {
    if (depth++ > 0) return
    before = stryker.currentTestId
    stryker.currentTestId = 'static'
  },
  end () {
    if (--depth === 0) stryker.currentTestId = before
  }
}
