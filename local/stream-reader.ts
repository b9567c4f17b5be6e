import {
  DescribeStreamCommand, GetRecordsCommand, GetShardIteratorCommand, ListStreamsCommand, type _Record, type DynamoDBStreamsClient, type Shard
} from '@aws-sdk/client-dynamodb-streams'
import type { DynamoDBRecord } from 'aws-lambda'
import { LOCAL_AWS } from './aws.ts'
import type { Checkpoints } from './checkpoints.ts'

/** Records of one shard, in order, with the position after them. */
export interface StreamPage {
  shardId: string
  records: DynamoDBRecord[]
}

export interface StreamReader {
  streamArn (): Promise<string>
  /** The next records of any shard after the committed position; `undefined` when there are none now. */
  read (): Promise<StreamPage | undefined>
  /** Moves the position to after a record of the last page. */
  commit (shardId: string, sequenceNumber: string): void
}

/** Lambda's JSON form of an attribute value: binary data is base64, not bytes as in the SDK. */
function lambdaImage (image: Record<string, unknown> | undefined) {
  if (image === undefined) return undefined
  return JSON.parse(JSON.stringify(image, (_key, value: unknown) => value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value))
}

function lambdaRecord ({ dynamodb, ...record }: _Record, streamArn: string): DynamoDBRecord {
  const { ApproximateCreationDateTime, Keys, NewImage, OldImage, ...rest } = dynamodb!
  const images = { Keys: lambdaImage(Keys), NewImage: lambdaImage(NewImage), OldImage: lambdaImage(OldImage) }
  return {
    eventID: record.eventID!,
    eventName: record.eventName!,
    eventVersion: record.eventVersion!,
    eventSource: record.eventSource!,
    awsRegion: LOCAL_AWS.region,
    dynamodb: {
      ApproximateCreationDateTime: Math.floor(ApproximateCreationDateTime!.getTime() / 1000),
      ...Object.fromEntries(Object.entries(images).filter(([, image]) => image !== undefined)),
      ...rest
    },
    eventSourceARN: streamArn,
    ...(record.userIdentity === undefined ? {} : { userIdentity: { type: record.userIdentity.Type, principalId: record.userIdentity.PrincipalId } })
  } as DynamoDBRecord
}

/** Reads a table's stream from its oldest record, or from its checkpoints. */
export function createStreamReader (client: DynamoDBStreamsClient, tableName: string, checkpoints: Checkpoints): StreamReader {
  let arn: string | undefined
  const iterators = new Map<string, string>()
  /** The last record of the last page of each shard, and the iterator after it. */
  const ends = new Map<string, { sequenceNumber: string, iterator: string | undefined }>()
  const closed = new Set<string>()
  /** Those to be read now. A shard gets its successors when it closes, so until then the stream need not be described again. */
  let open: string[] = []

  async function streamArn () {
    if (arn === undefined) {
      const { Streams = [] } = await client.send(new ListStreamsCommand({ TableName: tableName }))
      arn = Streams.at(-1)?.StreamArn
      if (arn === undefined) throw new Error(`${tableName} has no stream`)
    }
    return arn
  }

  async function shards () {
    if (open.length > 0) return open
    const all: Shard[] = []
    let ExclusiveStartShardId: string | undefined
    do {
      const { StreamDescription } = await client.send(new DescribeStreamCommand({ StreamArn: await streamArn(), ExclusiveStartShardId }))
      all.push(...StreamDescription?.Shards ?? [])
      ExclusiveStartShardId = StreamDescription?.LastEvaluatedShardId
    } while (ExclusiveStartShardId !== undefined)
    const left = all.filter(({ ShardId }) => !closed.has(ShardId!))
    // A child's records come after its parent's.
    open = left.filter(({ ParentShardId }) => !left.some(({ ShardId }) => ShardId === ParentShardId)).map(({ ShardId }) => ShardId!)
    return open
  }

  async function iteratorOf (shardId: string) {
    const SequenceNumber = checkpoints.get(await streamArn(), shardId)
    const start = { StreamArn: await streamArn(), ShardId: shardId }
    const oldest = () => client.send(new GetShardIteratorCommand({ ...start, ShardIteratorType: 'TRIM_HORIZON' }))
    const { ShardIterator } = SequenceNumber === undefined
      ? await oldest()
      : await client.send(new GetShardIteratorCommand({ ...start, ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber })).catch((error: Error) => {
        // The checkpoint's record has left the stream or belongs to another stream, so read from the oldest record.
        if (error.name === 'TrimmedDataAccessException' || error.name === 'ValidationException') return oldest()
        throw error
      })
    return ShardIterator!
  }

  return {
    streamArn,
    async read () {
      for (const shardId of await shards()) {
        const ShardIterator = iterators.get(shardId) ?? await iteratorOf(shardId)
        iterators.delete(shardId) // kept while there are no records after it; otherwise the commit sets the position
        const page = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 1000 })).catch((error: Error) => {
          if (error.name !== 'TrimmedDataAccessException' && error.name !== 'ExpiredIteratorException') throw error
        })
        // The iterator has expired. The next read makes a new one from the last commit.
        if (page === undefined) continue
        const { Records = [], NextShardIterator } = page
        if (Records.length > 0) {
          ends.set(shardId, { sequenceNumber: Records.at(-1)!.dynamodb!.SequenceNumber!, iterator: NextShardIterator })
          return { shardId, records: await Promise.all(Records.map(async record => lambdaRecord(record, await streamArn()))) }
        }
        if (NextShardIterator === undefined) {
          closed.add(shardId)
          open = []
        } else iterators.set(shardId, NextShardIterator)
      }
      return undefined
    },
    commit (shardId, sequenceNumber) {
      checkpoints.set(arn!, shardId, sequenceNumber)
      const end = ends.get(shardId)
      if (end?.iterator !== undefined && end.sequenceNumber === sequenceNumber) iterators.set(shardId, end.iterator)
    }
  }
}
