import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

function filesIn (path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return []
  return stat.isDirectory() ? readdirSync(path).flatMap(name => filesIn(join(path, name))) : [path]
}

/** Removes folders that have become empty, upwards from a file. */
function prune (folder: string, top: string): void {
  if (folder === top || readdirSync(folder).length > 0) return
  rmdirSync(folder)
  prune(dirname(folder), top)
}

/** Removes a file, and the folders that are empty then. */
export function removeFile (root: string, file: string): void {
  rmSync(join(root, file))
  prune(dirname(join(root, file)), root)
}

/**
 * Remembers what is below some paths of a folder, to be put back: files that are gone or other than they were, and none of
 * those that have come since.
 */
export function snapshot (root: string, paths: string[]): { restore (): void } {
  const all = () => paths.flatMap(path => filesIn(join(root, path)))
  const before = new Map(all().map(file => [file, readFileSync(file)]))
  return {
    restore () {
      for (const file of all()) if (!before.has(file)) removeFile('', file)
      for (const [file, content] of before) {
        if (statSync(file, { throwIfNoEntry: false }) !== undefined && readFileSync(file).equals(content)) continue
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, content)
      }
    }
  }
}
