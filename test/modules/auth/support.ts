import { GetCommand, ScanCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { createAuthRepository } from '../../../src/modules/auth/repository.ts'
import { createAuthService } from '../../../src/modules/auth/service.ts'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { TestApp } from '../../helper.ts'

export const TABLE = 'AuthTable'

/** The auth service of an app, but by a clock that the test moves. */
export function serviceAt (app: TestApp, clock: { now: Date }) {
  return createAuthService({
    repository: createAuthRepository(app.dynamodb, app.openOutbox, TABLE, () => clock.now),
    users: app.users,
    keys: app.keys,
    accessTokens: app.accessTokens,
    accessTokenTtl: 600,
    count: app.metrics.count,
    now: () => clock.now
  })
}

/** A challenge that is open, and its code, without a mail. */
export async function openChallenge (app: TestApp, email: string, now = new Date()) {
  const challenge = newChallenge(now)
  await app.auth.openChallenge({ ...challenge, email })
  const code = app.keys.codeOf(challenge.challengeId)
  const wrongCode = code === '00000000' ? '00000001' : '00000000'
  return { ...challenge, code, wrongCode }
}

export async function itemsOf (client: DynamoDBDocumentClient): Promise<Record<string, unknown>[]> {
  const { Items } = await client.send(new ScanCommand({ TableName: TABLE, ConsistentRead: true }))
  return Items!
}

export async function itemAt (client: DynamoDBDocumentClient, pk: string, sk: string): Promise<Record<string, unknown> | undefined> {
  const { Item } = await client.send(new GetCommand({ TableName: TABLE, Key: { pk, sk }, ConsistentRead: true }))
  return Item
}

/** What a test injects into the commands of a client. */
type Step = (send: () => Promise<unknown>, attempt: number) => Promise<unknown>

/** Puts a step between the SDK and one kind of command, below the SDK's own retries; gives back how to take it out. */
export function intercept (client: DynamoDBDocumentClient, command: string, step: Step): () => void {
  let attempt = 0
  client.middlewareStack.add((next, context) => async (args) => {
    if (context['commandName'] !== command) return await next(args)
    return await step(() => next(args), ++attempt) as Awaited<ReturnType<typeof next>>
  }, { step: 'finalizeRequest', priority: 'low', name: `intercept${command}`, override: true })
  return () => { client.middlewareStack.remove(`intercept${command}`) }
}

/** How DynamoDB says that a transaction met another one. Neither engine ever does. */
export function transactionConflict (): Error {
  return Object.assign(new Error('Transaction cancelled'), {
    name: 'TransactionCanceledException',
    $metadata: { httpStatusCode: 400 },
    CancellationReasons: [{ Code: 'TransactionConflict' }, { Code: 'None' }, { Code: 'None' }]
  })
}

/** How often the app has counted a metric. */
export function counted (app: TestApp, metric: string): number {
  return app.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)
}
