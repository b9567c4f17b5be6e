import { randomUUID } from 'node:crypto'
import { adminOf, bearerOf, signIn } from '../test/accounts.ts'
import { buildTestApp } from '../test/app.ts'
import { startEngines, type Engines } from '../test/engines.ts'
import { pump } from '../test/pump.ts'
import type { Benchmark, Context, Row, Table } from './lib/bench.ts'
import { createFlows, type FlowOptions, type Request } from './lib/flows.ts'

/** `2 Get, TransactWrite` */
function summary (commands: string[]): string {
  const counts = Map.groupBy(commands, command => command)
  return [...counts].map(([command, { length }]) => length === 1 ? command : `${length} ${command}`).sort((a, b) => a.replace(/^\d+ /, '').localeCompare(b.replace(/^\d+ /, ''))).join(', ')
}

async function run ({ say, teardown }: Context): Promise<Table[]> {
  say('starting the engines')
  const engines: Engines = await startEngines({ teardown })
  const app = await buildTestApp({ teardown }, engines, { env: { LOG_LEVEL: 'warn' } })
  const uncached = await buildTestApp({ teardown }, engines, { env: { LOG_LEVEL: 'warn', CACHE_TTL_SECONDS: '0' } })
  const [flows, uncachedFlows] = [createFlows(app, engines), createFlows(uncached, engines)]
  const rows: Row[] = []

  async function measure<T> (name: string, request: Request, { on = flows, ...options }: FlowOptions & { on?: typeof flows } = {}): Promise<T> {
    say(name)
    const { body, answer, later } = await on.measure<T>(request, options)
    rows.push({ name, values: { calls: answer.commands.length, later: later?.commands.length }, note: summary(answer.commands) })
    return body
  }

  const email = 'ada@example.com'
  const { accessToken, refreshToken, user } = await signIn(app, engines, email)
  const authorization = `Bearer ${accessToken}`
  const admin = await bearerOf(app, (await adminOf(app)).userId)
  await pump(app, engines)

  await measure('register, v1', { method: 'POST', url: '/v1/users', payload: { email: 'grace@example.com', name: 'Grace' } }, { status: 201 })
  const { challengeId: ofNew } = await measure<{ challengeId: string }>('register, v2', { method: 'POST', url: '/v2/users', payload: { email: 'lin@example.com', name: 'Lin' } }, { status: 202 })
  await measure('register, v2, with an idempotency key', { method: 'POST', url: '/v2/users', headers: { 'idempotency-key': randomUUID() }, payload: { email: 'joan@example.com', name: 'Joan' } }, { status: 202 })
  const { challengeId } = await measure<{ challengeId: string }>('request a sign-in code', { method: 'POST', url: '/v2/auth/challenges', payload: { email } }, { status: 202 })
  await measure('exchange the code of a new user', { method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId: ofNew, code: app.keys.codeOf(ofNew) } })
  await measure('exchange the code of a known user', { method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) } })
  await measure('refresh the tokens', { method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken } })
  await measure('read the own profile', { method: 'GET', url: '/v2/users/me', headers: { authorization } }, { on: uncachedFlows })
  await app.inject({ method: 'GET', url: '/v2/users/me', headers: { authorization } })
  await measure('read the own profile, cached', { method: 'GET', url: '/v2/users/me', headers: { authorization } })
  await measure('change the own name', { method: 'PATCH', url: '/v2/users/me', headers: { authorization }, payload: { name: 'Ada King' } })
  await measure('list the own sessions', { method: 'GET', url: '/v2/users/me/sessions', headers: { authorization } })
  await measure('list users, a page of 20', { method: 'GET', url: '/v2/users?limit=20', headers: admin })
  await measure('look a user up by address', { method: 'GET', url: `/v2/users?email=${encodeURIComponent(email)}`, headers: admin })
  await measure('batch-get, 100 ids', { method: 'POST', url: '/v2/users/batch-get', headers: admin, payload: { ids: [user.id, ...Array.from({ length: 99 }, () => randomUUID())] } })
  await measure('sign out', { method: 'POST', url: '/v2/auth/revoke', payload: { refreshToken } }, { status: 204 })
  // Last, and without what follows: a hundred registrations' worth of entries.
  await measure('register 100 users at once', { method: 'POST', url: '/v2/users/batch', headers: { ...admin, 'idempotency-key': randomUUID() }, payload: { users: Array.from({ length: 100 }, (_, n) => ({ email: `batch-${n}@example.com`, name: 'Many' })) } }, { drains: false })

  flows.stop()
  uncachedFlows.stop()
  return [{
    id: 'calls',
    title: 'Calls to DynamoDB and SQS',
    note: 'Exact: what a request calls before it is answered, and what the outbox and the e-mail worker call for it later. Both are counted at the SDK’s clients, on real engines.',
    columns: [{ key: 'calls', title: 'for the answer' }, { key: 'later', title: 'later' }],
    rows
  }]
}

export const calls: Benchmark = {
  summary: 'the calls to AWS of each operation, exact',
  needsPackages: () => false,
  run
}
