import './without-hook.ts'
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import type { Test } from 'tap'

// A process that runs many files of tests, one after the other, as lines of its input name them: what they import is loaded and compiled
// once. Each file gets a test of its own as its `tap`, so that what it tears down is gone before the next file starts.

const tests = new Map<string, Test>()
Object.assign(globalThis, { testOfFile: (url: string) => tests.get(url) })

const SCHEME = 'tap-of:'
registerHooks({
  resolve (specifier, context, next) {
    const { parentURL } = context
    return specifier === 'tap' && parentURL !== undefined && tests.has(parentURL) ? { url: `${SCHEME}${parentURL}`, format: 'module', shortCircuit: true } : next(specifier, context)
  },
  load (url, context, next) {
    return url.startsWith(SCHEME) ? { format: 'module', source: `export default testOfFile(${JSON.stringify(url.slice(SCHEME.length))})`, shortCircuit: true } : next(url, context)
  }
})

const { default: t } = await import('tap')
const timeout = Number(process.env['TAP_TIMEOUT']) * 1000
t.setTimeout(0) // of all files together

t.test('files', { timeout: 0 }, async all => {
  for await (const file of createInterface(process.stdin)) {
    await all.test(file, { timeout }, async test => {
      const url = pathToFileURL(resolve(file)).href
      tests.set(url, test)
      await import(url)
    })
    all.pass('this line completes the result') // a reader of TAP waits for what may follow it
  }
  process.exit() // what a test has left open would keep the process
})
