import { BatchWriteCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import type { ChallengeTicket, Tokens } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { adminOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { pump } from '../../pump.ts'
import { openChallenge } from './support.ts'

/** The app on its engines, and what the tests of a change of address do with it. */
export async function startEmailChanges (t: Test) {
  const engines = await startEngines(t)
  const bus = await startEventBus(t)
  const app = await buildTestApp(t, engines, { env: { ...bus.env, ADMIN_EMAILS: 'root@example.com,chief@example.com' } })
  const admin = await adminOf(app)
  const { mailsTo } = engines

  let n = 0
  const address = (name = 'user') => `${name}-${++n}@example.com`

  /** Writes accounts straight into the table, as they are once their address is proved: without mails and events. */
  async function store (accounts: { id: string, email: string }[], name: string): Promise<void> {
    const at = new Date().toISOString()
    const items = accounts.flatMap(({ id, email }) => [
      { userId: id, kind: 'user', email, name, locale: 'en', status: 'ACTIVE', role: 'user', createdAt: at, updatedAt: at, version: 2 },
      { userId: `email#${email}`, kind: 'claim', ownerId: id }
    ])
    while (items.length > 0) await app.dynamodb.send(new BatchWriteCommand({ RequestItems: { UsersTable: items.splice(0, 25).map(Item => ({ PutRequest: { Item } })) } }))
  }

  /** A signed-in user, who may have moved to another address since. */
  async function newUser (email = address()) {
    const id = newId()
    await store([{ id, email }], 'Ada Lovelace')
    return { id, email, tokens: await signInAt(email) }
  }

  const bearer = ({ accessToken }: Tokens) => ({ authorization: `Bearer ${accessToken}` })
  const post = (url: string, payload: object, headers: Record<string, string> = {}) => app.inject({ method: 'POST', url, payload, headers })
  const ask = (tokens: Tokens, email: string) => post('/v2/users/me/email', { email }, bearer(tokens))
  const verify = (challengeId: string, code = app.keys.codeOf(challengeId)) => post('/v2/auth/verify', { challengeId, code })
  const exchange = (challengeId: string, code = app.keys.codeOf(challengeId)) => post('/v2/auth/tokens', { grantType: 'code', challengeId, code })
  const refresh = ({ refreshToken }: Tokens) => post('/v2/auth/tokens', { grantType: 'refresh_token', refreshToken })
  const refreshed = async (tokens: Tokens) => (await refresh(tokens)).json<Tokens>()
  const me = async (tokens: Tokens) => (await app.inject({ url: '/v2/users/me', headers: bearer(tokens) })).statusCode
  const emailOf = async ({ id }: { id: string }) => (await app.users.getFresh(id))?.email
  /** Signs in by a code for an address, without its mail. */
  async function signInAt (email: string): Promise<Tokens> {
    const { challengeId, code } = await openChallenge(app, email)
    return (await exchange(challengeId, code)).json<Tokens>()
  }

  /** Asks for a change and opens its challenge. */
  async function asked (tokens: Tokens, email: string): Promise<string> {
    const answer = await ask(tokens, email)
    if (answer.statusCode !== 202) throw new Error(`${answer.statusCode} ${answer.body}`)
    await pump(app, engines)
    return answer.json<ChallengeTicket>().challengeId
  }

  /** Changes an address, and gives the tokens of the session that asked for it. */
  async function change (tokens: Tokens, email: string): Promise<Tokens> {
    const answer = await verify(await asked(tokens, email))
    if (answer.statusCode !== 204) throw new Error(`${answer.statusCode} ${answer.body}`)
    await pump(app, engines)
    return await refreshed(tokens)
  }

  /** The link in the newest mail to an address. */
  function linkTo (email: string) {
    const mail = mailsTo(email).at(-1)
    const found = /http\S+#(\S+)/.exec(mail?.text ?? '')?.[1]
    return found === undefined ? undefined : Object.fromEntries(new URLSearchParams(found)) as { challengeId: string, code: string, action?: string }
  }
  const undo = (email: string) => {
    const { challengeId, code } = linkTo(email)!
    return verify(challengeId, code)
  }
  const subjects = (email: string) => mailsTo(email).map(({ subject }) => subject)
  const usersItems = async () => (await app.dynamodb.send(new ScanCommand({ TableName: app.config.USERS_TABLE, ConsistentRead: true }))).Items!
  const claimOf = async (email: string) => (await usersItems()).find(({ userId }) => userId === `email#${email}`)

  return { engines, bus, app, admin, mailsTo, address, store, newUser, bearer, post, ask, verify, exchange, refresh, refreshed, me, emailOf, signInAt, asked, change, linkTo, undo, subjects, usersItems, claimOf }
}

/** A signed-in user, as `newUser` makes one. */
export type Account = Awaited<ReturnType<Awaited<ReturnType<typeof startEmailChanges>>['newUser']>>
