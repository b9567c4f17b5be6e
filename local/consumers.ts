import type { DynamoDBBatchResponse, DynamoDBStreamEvent, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import type { App } from '../src/app.ts'

/** By when an invocation has to end, in milliseconds since 1970: a function's timeout counts from its start. */
export interface Invocation { deadline: number }

/** What AWS invokes of the app. */
export interface Consumers {
  /** Hands a batch to whatever of the app takes it. */
  deliver (event: DynamoDBStreamEvent | SQSEvent, invocation: Invocation): Promise<DynamoDBBatchResponse | SQSBatchResponse | void>
  sweep (invocation: Invocation): Promise<unknown>
}

/** The one place that knows how the app takes what is not HTTP. */
export function consumersOf (app: Pick<App, 'relay' | 'email'>): Consumers {
  return {
    async deliver (event) {
      return event.Records[0]?.eventSource === 'aws:sqs' ? await app.email.handleBatch(event as SQSEvent) : await app.relay.handleBatch(event as DynamoDBStreamEvent)
    },
    sweep: () => app.relay.sweep()
  }
}
