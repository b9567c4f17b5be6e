import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Script } from 'node:vm'
import type { start } from './start.ts'

// The artifact's `index.mjs`, in place of src/lambda.ts: it runs `service.cjs`, the app as one script, with the code that V8
// has compiled from it before. That takes a third off a cold start's CPU; see ADR 154.

/** Identifies `service.cjs`; set by the build. V8 itself compares a cache with the length of a script only. */
declare const SERVICE_HASH: string

/** The script: a CommonJS module in a function of its own. */
type Wrapped = (module: object, require: NodeJS.Require, url: string) => void

const directory = import.meta.dirname
const filename = join(directory, 'service.cjs')
const caches = join(directory, 'code-cache')

/** The code cache for this version of Node. Without one, the app starts as well, but slower. */
function readCache (): Buffer | undefined {
  try {
    return readFileSync(join(caches, `${process.version}-${process.arch}-${SERVICE_HASH}`))
  } catch {
    return undefined
  }
}

const cachedData = readCache()
// The script is ASCII, and V8 reads that as it is.
const script = new Script(readFileSync(filename, 'latin1'), { filename, ...(cachedData === undefined ? {} : { cachedData }) })
const run = script.runInThisContext() as Wrapped
const service = {} as { exports: { start: typeof start } }
run(service, createRequire(import.meta.url), import.meta.url)

/** The handler of every event source. */
export const handler = await service.exports.start(directory, script.cachedDataRejected !== false && existsSync(caches))
