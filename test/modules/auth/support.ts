import { GetCommand, ScanCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { CODE_LIMITS } from '../../../src/modules/auth/allowance.ts'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import { createRepository } from '../../../src/modules/auth/repository.ts'
import { AUTH_ENTRIES } from '../../../src/modules/auth/schemas.ts'
import { createService } from '../../../src/modules/auth/service.ts'
import { createStore, type Outbox } from '../../../src/plugins/outbox/store.ts'
import { newId } from '../../../src/shared/ids.ts'
import type { TestApp } from '../../app.ts'

export const TABLE = 'AuthTable'

export const outboxOf = (app: TestApp): Outbox<AuthEntry> =>
  createStore(app.dynamodb, { table: TABLE, key: eventId => ({ pk: `outbox#${eventId}`, sk: 'outbox' }), entries: AUTH_ENTRIES })

/** The auth repository of an app, by a clock that the test moves. */
export function repositoryAt (app: TestApp, clock: { now: Date }) {
  return createRepository({ dynamodb: app.dynamodb, outbox: outboxOf(app), table: TABLE, now: () => clock.now })
}

/** The auth service of an app, by a clock that the test moves. */
export function serviceAt (app: TestApp, clock: { now: Date }) {
  return createService({
    repository: repositoryAt(app, clock),
    users: app.users,
    keys: app.keys,
    accessTokens: app.accessTokens,
    accessTokenTtl: 600,
    limitDomain: () => {},
    count: app.metrics.count,
    now: () => clock.now
  })
}

/** A challenge that is open, and its code, without a mail. For an address without an account, of no account. */
export async function openChallenge (app: TestApp, email: string, now = new Date()) {
  const challenge = newChallenge(now)
  const user = await app.users.findByEmail(email)
  const address = app.keys.pseudonym(email)
  await repositoryAt(app, { now }).openChallenge({
    challengeId: challenge.challengeId, userId: user?.id ?? newId(), address, expiresAt: Math.floor(Date.parse(challenge.expiresAt) / 1000)
  }, { address, limits: CODE_LIMITS })
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

/** How often the app has counted a metric. */
export function counted (app: TestApp, metric: string): number {
  return app.logLines.reduce((sum, line) => sum + Number(line[metric] ?? 0), 0)
}
