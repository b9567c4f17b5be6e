import { readFileSync } from 'node:fs'
import { replaceFile } from './replace-file.ts'
import { StartError } from './start-error.ts'

/** The last position read in each shard of each stream. */
export interface Checkpoints {
  get (streamArn: string, shardId: string): string | undefined
  set (streamArn: string, shardId: string, sequenceNumber: string): void
  readonly positions: Readonly<Positions>
}

/** Sequence numbers by the ARN of a stream and the id of a shard. */
export type Positions = Record<string, Record<string, string>>

function load (file: string): Positions {
  try {
    const positions: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof positions !== 'object' || positions === null) throw new Error('it is not an object')
    return positions as Positions
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new StartError(`LOCAL_DATA_DIR: ${file} cannot be read (${(error as Error).message}); delete it to read the streams again from their beginning`)
  }
}

/** Checkpoints in a file, so that they survive a restart. Without a file they are kept in memory. */
export function createCheckpoints (file?: string): Checkpoints {
  const positions: Positions = file === undefined ? {} : load(file)
  return {
    positions,
    get: (streamArn, shardId) => positions[streamArn]?.[shardId],
    set (streamArn, shardId, sequenceNumber) {
      positions[streamArn] = { ...positions[streamArn], [shardId]: sequenceNumber }
      if (file === undefined) return
      // A kill leaves the old positions: at worst a batch is delivered twice.
      replaceFile(file, JSON.stringify(positions, undefined, 2))
    }
  }
}
