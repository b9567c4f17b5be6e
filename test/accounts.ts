import { PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import type { Tokens } from '../src/modules/auth/contract.ts'
import type { TestApp } from './app.ts'
import type { Engines } from './engines.ts'
import { pump } from './pump.ts'

/** The 8-digit code in the newest mail to an address. */
export function codeIn (engines: Engines, email: string): string {
  const mail = engines.mailsTo(email).at(-1)
  if (mail === undefined) throw new Error(`no mail to ${email}`)
  const code = /\b\d{8}\b/.exec(mail.text ?? '')?.[0]
  if (code === undefined) throw new Error(`no code in the mail to ${email}: ${mail.text}`)
  return code
}

/** Registers through v2, takes the code from the mail and exchanges it. */
export async function signIn (app: TestApp, engines: Engines, email: string, name = 'Test Person'): Promise<Tokens> {
  const registration = await app.inject({ method: 'POST', url: '/v2/users', payload: { email, name } })
  if (registration.statusCode !== 202) throw new Error(`signIn: registration answered ${registration.statusCode} ${registration.body}`)
  await pump(app, engines)
  const { challengeId } = registration.json<{ challengeId: string }>()
  const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, email) } })
  if (exchange.statusCode !== 200) throw new Error(`signIn: the exchange answered ${exchange.statusCode} ${exchange.body}`)
  return exchange.json<Tokens>()
}

/** The headers of a request by a user, whatever the role in the token, as if they had signed in. */
export async function bearerOf (app: TestApp, userId: string, role: 'user' | 'admin' = 'admin'): Promise<{ authorization: string }> {
  const { email = 'gone@example.com' } = await app.users.getFresh(userId) ?? {}
  return { authorization: `Bearer ${await app.accessTokens.sign({ sub: userId, email, role, sid: randomUUID() })}` }
}

/** An admin, as the actor of `app.users.update(await adminOf(app), id, patch, correlationId)`. Written straight into the table, without a mail or an event. */
export async function adminOf (app: TestApp): Promise<{ userId: string }> {
  const userId = randomUUID()
  const at = new Date().toISOString()
  await app.dynamodb.send(new PutCommand({
    TableName: app.config.USERS_TABLE,
    Item: { userId, kind: 'user', email: `admin-${userId}@example.net`, name: 'An Admin', locale: 'en', status: 'ACTIVE', role: 'admin', createdAt: at, updatedAt: at, version: 1 }
  }))
  await app.dynamodb.send(new UpdateCommand({ TableName: app.config.USERS_TABLE, Key: { userId: 'admins' }, UpdateExpression: 'ADD ids :ids', ExpressionAttributeValues: { ':ids': new Set([userId]) } }))
  return { userId }
}
