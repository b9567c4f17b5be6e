import type { Context, SQSEvent } from 'aws-lambda'
import { createLogger } from '../../../src/plugins/logging.ts'
import { readConfig } from './config.ts'
import { buildService } from './service.ts'

// The entry on AWS: Lambda reads the queue, and deletes what has been sent.
const config = readConfig(process.env)
const service = await buildService({ config, logger: createLogger(config) })

export const handler = async ({ Records }: SQSEvent, context: Context) =>
  await service.consumers.deliver({ Records }, { deadline: Date.now() + context.getRemainingTimeInMillis() })
