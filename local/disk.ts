import { existsSync, statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Bytes below which a disk counts as full: the engines write in steps of some hundred KB. */
const LEAST = 2 * 1024 * 1024

/** Milliseconds between two looks. */
const INTERVAL = 1000

/** Whether the disk that a directory is on, or will be made on, has no space left. */
export function isFull (directory: string): boolean {
  let place = resolve(directory)
  while (!existsSync(place)) place = dirname(place)
  const { bavail, bsize, blocks } = statfsSync(place)
  // What counts no blocks (/proc) has no space to run out of.
  return blocks > 0 && bavail * bsize < LEAST
}

/** Resolves when the disk of a directory has space; says once that it is waited for. */
export async function spaceOn (directory: string, say: (line: string) => void): Promise<void> {
  if (!isFull(directory)) return
  say(`LOCAL_DATA_DIR: the disk of ${directory} is full, waiting for space`)
  while (isFull(directory)) await sleep(INTERVAL)
  say('There is space again')
}

/** Says when the disk of a directory is full, and when it no longer is. */
export function watchDisk (directory: string, say: (line: string) => void): { stop (): void } {
  let wasFull = false
  const timer = setInterval(() => {
    const full = isFull(directory)
    if (full !== wasFull) say(full ? `LOCAL_DATA_DIR: the disk of ${directory} is full, what cannot be written is refused or waits` : 'There is space again')
    wasFull = full
  }, INTERVAL)
  return { stop: () => clearInterval(timer) }
}
