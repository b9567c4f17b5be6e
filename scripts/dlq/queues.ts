import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs'
import { existsSync } from 'node:fs'
import { UsageError } from '../command.ts'
import { outputsOf } from '../stack-outputs.ts'

// Which queues there are, and where: in the outputs of a stack, in the environment, or in that of the npm start that runs.

export const NAMES = ['mails', 'receipts', 'relay', 'events'] as const
export type Name = typeof NAMES[number]

export interface FailureQueue {
  /** `queue`: one that was given by its URL */
  name: Name | 'queue'
  url: string
  /** the queue that its messages came from */
  source?: string
  /** the function that its events were for */
  functionName?: string
}

/** Tables in which the present can be looked up. */
export interface Tables { users?: string | undefined, email?: string | undefined }

export interface Found { queues: FailureQueue[], tables: Tables }

/** What each queue is called in a sentence. */
export const TITLES: Record<FailureQueue['name'], string> = {
  mails: 'dead-letter queue of mails',
  receipts: 'dead-letter queue of receipts',
  relay: 'queue of what Lambda gave up on',
  events: 'queue of what EventBridge gave up on',
  queue: 'queue'
}

async function inStack (stack: string): Promise<Found> {
  const outputs = await outputsOf(stack, [
    'EmailDeadLetterQueueUrl', 'EmailQueueUrl', 'MailReceiptsDeadLetterQueueUrl', 'MailReceiptsQueueUrl', 'RelayFailureQueueUrl', 'EventFailureQueueUrl',
    'ApiFunctionName', 'UsersTableName', 'EmailTableName'
  ])
  const functionName = `${outputs.ApiFunctionName}:live`
  return {
    queues: [
      { name: 'mails', url: outputs.EmailDeadLetterQueueUrl, source: outputs.EmailQueueUrl },
      { name: 'receipts', url: outputs.MailReceiptsDeadLetterQueueUrl, source: outputs.MailReceiptsQueueUrl },
      { name: 'relay', url: outputs.RelayFailureQueueUrl, functionName },
      { name: 'events', url: outputs.EventFailureQueueUrl, functionName }
    ],
    tables: { users: outputs.UsersTableName, email: outputs.EmailTableName }
  }
}

/** URL of the queue in the redrive policy. Both queues belong to one stack, so account and region are the same. */
async function deadLetterQueueOf (sqs: SQSClient, queueUrl: string): Promise<string> {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['RedrivePolicy'] }))
  const policy = Attributes?.['RedrivePolicy']
  if (policy === undefined) throw new UsageError(`${queueUrl} has no dead-letter queue`)
  const { deadLetterTargetArn } = JSON.parse(policy) as { deadLetterTargetArn: string }
  return new URL(deadLetterTargetArn.split(':').at(-1)!, queueUrl).href
}

const VARIABLES = { mails: 'EMAIL_QUEUE_URL', receipts: 'MAIL_RECEIPTS_QUEUE_URL' } as const
type Variable = keyof typeof VARIABLES

const given = (name: string): string | undefined => process.env[name]?.trim() || undefined

/** Where a variable is missing in the environment, the one of the npm start that runs takes its place. */
function loadLocal (variable: string): void {
  if (given(variable) !== undefined) return
  const file = `${given('LOCAL_DATA_DIR') ?? '.local'}/env`
  if (!existsSync(file)) throw new UsageError(`${variable} is missing, and no npm start is running (no ${file}). --stack names a stack`)
  process.loadEnvFile(file)
  if (given(variable) === undefined) throw new UsageError(`${variable} is not in ${file}: start npm start again`)
}

async function inEnvironment (sqs: () => SQSClient, wanted: Name | undefined): Promise<Found> {
  if (wanted === 'relay' || wanted === 'events') throw new UsageError(`${wanted} needs --stack, or --queue-url with the URL of the queue`)
  loadLocal(VARIABLES[wanted ?? 'mails'])
  const queues: FailureQueue[] = []
  for (const name of Object.keys(VARIABLES) as Variable[]) {
    const source = given(VARIABLES[name])
    if (source === undefined || (wanted !== undefined && wanted !== name)) continue
    queues.push({ name, source, url: await deadLetterQueueOf(sqs(), source) })
  }
  return { queues, tables: { users: given('USERS_TABLE'), email: given('EMAIL_TABLE') } }
}

export interface Place { stack?: string | undefined, queueUrl?: string | undefined, functionName?: string | undefined }

/** The queue of a name, or all that there are. `sqs` is called once the environment has been read. */
export async function findQueues ({ stack, queueUrl, functionName }: Place, wanted: Name | undefined, sqs: () => SQSClient): Promise<Found> {
  if (queueUrl !== undefined) {
    if (stack !== undefined || wanted !== undefined) throw new UsageError('--queue-url names the queue: leave out its name and --stack')
    return { queues: [{ name: 'queue', url: queueUrl, ...(functionName === undefined ? {} : { functionName }) }], tables: { users: given('USERS_TABLE'), email: given('EMAIL_TABLE') } }
  }
  if (functionName !== undefined) throw new UsageError('--function needs --queue-url')
  if (stack === undefined) return await inEnvironment(sqs, wanted)
  const { queues, tables } = await inStack(stack)
  return { queues: queues.filter(({ name }) => wanted === undefined || name === wanted), tables }
}
