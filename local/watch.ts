import { watch } from 'node:fs'
import { join } from 'node:path'

/** Milliseconds without a further change before one is reported: editors and Git write several files at once. */
const QUIET = 50

/** Files of other kinds, such as an editor's backups, are no part of the app. */
const SOURCES = /^[^.].*\.(?:ts|js|json|html|css|txt)$/

/** Calls `onChange` with the paths of the sources that have changed in a directory, or below it. */
export function watchSources (directory: string, onChange: (paths: string[]) => void): { stop: () => void } {
  let timer: NodeJS.Timeout | undefined
  const changed = new Set<string>()
  const watcher = watch(directory, { recursive: true }, (_event, name) => {
    if (name === null || !SOURCES.test(name.split(/[/\\]/).at(-1)!)) return
    clearTimeout(timer)
    changed.add(join(directory, name))
    timer = setTimeout(() => {
      const paths = [...changed]
      changed.clear()
      onChange(paths)
    }, QUIET)
  })
  return {
    stop () {
      clearTimeout(timer)
      watcher.close()
    }
  }
}
