import { globSync, readFileSync } from 'node:fs'

/** CPU microseconds that a process has used, all threads, by Linux's scheduler; undefined on other systems. */
export function cpuTime (pid: number): number | undefined {
  const files = globSync(`/proc/${pid}/task/*/schedstat`)
  if (files.length === 0) return undefined
  let nanoseconds = 0
  for (const file of files) {
    try {
      nanoseconds += Number(readFileSync(file, 'utf8').split(' ')[0])
    } catch {
      // A thread that has ended meanwhile.
    }
  }
  return nanoseconds / 1000
}
