import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb'
import { LOCAL_AWS } from '../../../local/aws.ts'
import type { Config } from '../../../src/plugins/config.ts'
import { createLogger } from '../../../src/plugins/logging.ts'
import { startEngines, type Test } from '../../engines.ts'

// What tests of single parts of the module give them, where a whole app would only cost time.

export const TABLE = 'EmailTable'

/** The table of messages on a real engine. */
export async function startTable (t: Test) {
  const engines = await startEngines(t)
  const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: engines.dynamodbEndpoint }), { marshallOptions: { removeUndefinedValues: true } })
  t.teardown(() => { dynamodb.destroy() })
  const stored = async (messageId: string) => (await dynamodb.send(new GetCommand({ TableName: TABLE, Key: { messageId }, ConsistentRead: true }))).Item
  return { engines, dynamodb, stored }
}

/** Keeps what is counted and logged. */
export function watch () {
  let counts: Record<string, number> = {}
  let lines: Record<string, unknown>[] = []
  const config = { LOG_LEVEL: 'trace', SERVICE_NAME: 'mails', STAGE: 'test' } as Config
  const log = createLogger(config, { write: line => { lines.push(JSON.parse(line) as Record<string, unknown>) } })
  return {
    log,
    count (metric: string) { counts[metric] = (counts[metric] ?? 0) + 1 },
    /** What was counted since the last call. */
    counted () {
      const result = counts
      counts = {}
      return result
    },
    /** The lines of the log since the last call, without what all of them have; of errors only the code, or else the message. */
    logged () {
      const result = lines.map(({ time: _time, service: _service, environment: _environment, err, ...line }) => {
        const error = err as { code?: string, message?: string } | undefined
        return error === undefined ? line : { ...line, err: error.code ?? error.message }
      })
      lines = []
      return result
    }
  }
}
