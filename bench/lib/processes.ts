import { globSync, readFileSync } from 'node:fs'
import { cpuTime } from './cpu-time.ts'

// What Linux says about processes.

/** Processes that a process has started, and those that they have started. None on other systems. */
export function descendants (pid: number): number[] {
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap(file => {
    try {
      return readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number)
    } catch {
      return [] // a thread that has ended meanwhile
    }
  })
  return children.flatMap(child => [child, ...descendants(child)])
}

/** CPU microseconds of a process and of those that it has started; undefined on other systems. */
export function cpuTimeOfTree (pid: number): number | undefined {
  const times = [pid, ...descendants(pid)].map(cpuTime).filter(time => time !== undefined)
  return times.length === 0 ? undefined : times.reduce((sum, time) => sum + time, 0)
}

/** Resident memory of a process in MiB; undefined on other systems. */
export function residentMemory (pid: number): number | undefined {
  try {
    const [, kiB] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kiB === undefined ? undefined : Number(kiB) / 1024
  } catch {
    return undefined
  }
}
