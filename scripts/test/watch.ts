import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { watchSources } from '../../local/watch.ts'
import { createTouched } from './touched.ts'

export interface Watch {
  /** tests that may run */
  files: string[]
  /** whether these were named: then they run at once, and after each change of anything that they import */
  isNamed: boolean
  run: (files: string[], signal: AbortSignal) => Promise<unknown>
  /** ends it */
  signal: AbortSignal
}

const FOLDERS = ['src', 'local', 'scripts', 'test', 'clients']

/** After each change runs the tests that it touches. A further change ends a run, and its files run again with those of the new one. */
export async function watchTests ({ files, isNamed, run, signal }: Watch): Promise<void> {
  const changes = new Set<string>()
  let current = new AbortController()
  const watchers = FOLDERS.filter(folder => existsSync(folder)).map(folder => watchSources(folder, paths => {
    for (const path of paths) changes.add(relative('.', path))
    current.abort()
  }))
  const end = () => current.abort()
  signal.addEventListener('abort', end)
  let waiting = new Set(isNamed ? files : [])
  try {
    while (!signal.aborted) {
      current = new AbortController()
      if (changes.size > 0) {
        const touched = createTouched()
        for (const change of changes) {
          const tests = touched(change, files, isNamed)
          console.log(`\n${change}: ${tests.length === 0 ? 'no test imports it or is beside it' : `${tests.length} ${tests.length === 1 ? 'file' : 'files'}`}`)
          waiting = new Set([...tests, ...waiting])
        }
        changes.clear()
      }
      if (waiting.size > 0) {
        await run([...waiting], current.signal)
        if (current.signal.aborted) continue
        waiting.clear()
      }
      console.log('Waiting for a change. Ctrl-C ends it')
      if (!current.signal.aborted) await once(current.signal, 'abort')
    }
  } finally {
    signal.removeEventListener('abort', end)
    for (const watcher of watchers) watcher.stop()
  }
}
