import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** How far each shard of each stream has been read. */
export interface Checkpoints {
  get (streamArn: string, shardId: string): string | undefined
  set (streamArn: string, shardId: string, sequenceNumber: string): void
}

type Positions = Record<string, Record<string, string>>

function load (file: string): Positions {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Positions
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new Error(`${file} cannot be read: remove it, and the streams are read again from their beginning`, { cause: error })
  }
}

/** Checkpoints that survive a restart in a file; without one they live as long as the object. */
export function createCheckpoints (file?: string): Checkpoints {
  const positions: Positions = file === undefined ? {} : load(file)
  return {
    get: (streamArn, shardId) => positions[streamArn]?.[shardId],
    set (streamArn, shardId, sequenceNumber) {
      positions[streamArn] = { ...positions[streamArn], [shardId]: sequenceNumber }
      if (file === undefined) return
      // Renamed into place: a kill in between leaves the old one whole. At worst a batch is handed over twice.
      writeFileSync(`${file}.new`, JSON.stringify(positions, undefined, 2))
      renameSync(`${file}.new`, file)
    }
  }
}
