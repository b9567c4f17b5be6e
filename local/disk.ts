import { existsSync, statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A disk with fewer free bytes counts as full, because the engines write in steps of several hundred KB. */
const LEAST = 2 * 1024 * 1024

/** Milliseconds between two checks. */
const INTERVAL = 1000

/** Whether the disk of a directory, which need not exist yet, is full. */
export function isFull (directory: string): boolean {
  let place = resolve(directory)
  while (!existsSync(place)) place = dirname(place)
  const { bavail, bsize, blocks } = statfsSync(place)
  // A file system without blocks (/proc) cannot be full.
  return blocks > 0 && bavail * bsize < LEAST
}

/** Resolves when the disk of a directory has space. Reports once that it waits. */
export async function spaceOn (directory: string, say: (line: string) => void): Promise<void> {
  if (!isFull(directory)) return
  say(`LOCAL_DATA_DIR: the disk of ${directory} is full, waiting for space`)
  while (isFull(directory)) await sleep(INTERVAL)
  say('There is space again')
}

/** Reports when the disk of a directory is full, and when it has space again. */
export function watchDisk (directory: string, say: (line: string) => void): { stop (): void } {
  let wasFull = false
  const timer = setInterval(() => {
    const full = isFull(directory)
    if (full !== wasFull) say(full ? `LOCAL_DATA_DIR: the disk of ${directory} is full, writes fail or wait` : 'There is space again')
    wasFull = full
  }, INTERVAL)
  return { stop: () => clearInterval(timer) }
}
