import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { StartError } from './start-error.ts'

/** How far each shard of each stream has been read. */
export interface Checkpoints {
  get (streamArn: string, shardId: string): string | undefined
  set (streamArn: string, shardId: string, sequenceNumber: string): void
}

type Positions = Record<string, Record<string, string>>

function load (file: string): Positions {
  try {
    const positions: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof positions !== 'object' || positions === null) throw new Error('it is no object')
    return positions as Positions
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new StartError(`LOCAL_DATA_DIR: ${file} cannot be read (${(error as Error).message}); without it the streams are read again from their beginning`)
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
