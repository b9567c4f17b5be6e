import { readFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { ChallengeTicket, Tokens } from '../../src/modules/auth/contract.ts'
import { adminOf, bearerOf, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { dynamodbEngines, startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { png } from '../modules/uploads/pictures.ts'
import { avatarsOf } from '../modules/uploads/support.ts'
import { meter, perStep, type Spent } from '../units.ts'

/** The rows of docs/cost.md's table of units. A row without a flow belongs to the flow above it. */
function documented () {
  let flow = ''
  return [...readFileSync('docs/cost.md', 'utf8').matchAll(/^\| ?([^|]*?) ?\| `([^|`]+)` \| (\d+) \| ([\d.]+) \| [^|]+ \|$/gm)].map(([, name = '', step = '', write, read]) => {
    flow = name === '' ? flow : name
    return { flow, step, write: Number(write), read: Number(read) }
  })
}

t.test('the prices per million follow from the units', t => {
  const text = readFileSync('docs/cost.md', 'utf8')
  const priceOf = (...flows: string[]) => documented().filter(({ flow }) => flows.includes(flow)).reduce((sum, { write, read }) => sum + 0.625 * write + 0.125 * read, 0)
  for (const [start, expected] of [
    ['registrations (v2)', priceOf('registration, v2', 'first sign-in, which verifies')],
    ['sign-ins by code', priceOf('request for a sign-in code', 'sign-in')],
    ['avatars', priceOf('avatar') + 0.125]
  ] as const) {
    const row = text.split('\n').find(line => line.startsWith(`| ${start}`))!
    const [, , , gateway, lambda, dynamodb, messages, mails, logs, sum] = row.split('|').map(cell => Number.parseFloat(cell.replace('–', '0').replaceAll('*', '')))
    t.equal(dynamodb, Math.round(expected * 100) / 100, row)
    const s3 = start === 'avatars' ? 16.20 : 0
    t.equal(sum, Math.round((gateway! + lambda! + dynamodb! + messages! + mails! + logs! + s3) * 100) / 100, row)
  }
  t.end()
})

for (const [kind, skip] of await dynamodbEngines()) {
  t.test(`on ${kind}, each step of each flow costs the units that docs/cost.md says`, { skip }, async t => {
    const engines = await startEngines(t, { dynamodb: kind })
    const app = await buildTestApp(t, engines)
    const { form, send } = avatarsOf(t, app, engines)
    const admin = await bearerOf(app, (await adminOf(app)).userId)
    const known = await signIn(app, engines, 'ada@example.com')
    await pump(app, engines)
    const units = meter(app, engines)
    t.teardown(() => units.stop())
    const spent: Spent[] = []
    const rows: ReturnType<typeof documented> = []

    /** Does something, and what follows from it until nothing is left. */
    async function measured<R> (flow: string, operation: () => Promise<R>, { drains = true } = {}): Promise<R> {
      const result = await operation()
      if (drains) await pump(app, engines)
      const calls = units.take()
      spent.push(...calls)
      rows.push(...perStep(calls).map(row => ({ flow, ...row })))
      return result
    }

    async function call<R> (flow: string, method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object, { headers = {}, drains = true }: { headers?: object, drains?: boolean } = {}): Promise<R> {
      const answer = await measured(flow, () => app.inject({ method, url, headers: { ...headers }, ...(payload === undefined ? {} : { payload }) }), { drains })
      if (answer.statusCode >= 300) throw new Error(`${flow}: ${answer.statusCode} ${answer.body}`)
      return (answer.body === '' ? undefined : answer.json()) as R
    }
    const grant = (challengeId: string) => ({ grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) })

    await call('registration, v1', 'POST', '/v1/users', { email: 'grace@example.com', name: 'Grace Hopper' })
    const lin = await call<ChallengeTicket>('registration, v2', 'POST', '/v2/users', { email: 'lin@example.com', name: 'Lin Clark' })
    await call('the same, of a pending account', 'POST', '/v2/users', { email: 'lin@example.com', name: 'Lin Clark' })
    const other = await call<ChallengeTicket>('the same, with another name', 'POST', '/v2/users', { email: 'grace@example.com', name: 'Rear Admiral' })
    const fresh = await call<Tokens>('first sign-in, which verifies', 'POST', '/v2/auth/tokens', grant(lin.challengeId))
    await call('verification on the page, of a registration with another name', 'POST', '/v2/auth/verify', { challengeId: other.challengeId, code: app.keys.codeOf(other.challengeId) })
    const signIn2 = await call<ChallengeTicket>('request for a sign-in code', 'POST', '/v2/auth/challenges', { email: 'ada@example.com' })
    await call('the same, of an unknown address', 'POST', '/v2/auth/challenges', { email: 'unknown@example.com' })
    const tokens = await call<Tokens>('sign-in', 'POST', '/v2/auth/tokens', grant(signIn2.challengeId))
    const { refreshToken } = await call<Tokens>('refresh', 'POST', '/v2/auth/tokens', { grantType: 'refresh_token', refreshToken: tokens.refreshToken })
    await call('sign-out', 'POST', '/v2/auth/revoke', { refreshToken })
    const headers = { authorization: `Bearer ${known.accessToken}` }
    await call('change of name', 'PATCH', '/v2/users/me', { name: 'Ada King' }, { headers })
    const upload = await measured('avatar', () => form(known, png()))
    await measured('avatar', () => send(upload, png()))
    const move = await call<ChallengeTicket>('request to change the address', 'POST', '/v2/users/me/email', { email: 'king@example.com' }, { headers })
    await call('change of address', 'POST', '/v2/auth/verify', { challengeId: move.challengeId, code: app.keys.codeOf(move.challengeId) })
    await call('deletion', 'DELETE', '/v2/users/me', undefined, { headers: { authorization: `Bearer ${fresh.accessToken}` } })
    const users = Array.from({ length: 100 }, (_, i) => ({ email: `batch-${i}@example.com`, name: 'Many' }))
    await call('batch of 100', 'POST', '/v2/users/batch', { users }, { headers: { ...admin, 'idempotency-key': randomUUID() }, drains: false })

    t.ok(rows.length > 20, `${rows.length} steps`)
    // DynamoDB Local counts transactions by rules of its own.
    if (kind === 'dynoxide') t.same(spent.filter(({ write, reported = write }) => reported !== write), [], 'the engine counts like the rules')
    const lineOf = ({ flow, step, write, read }: ReturnType<typeof documented>[number]) => `${flow}, ${step}: writes ${write}, reads ${read}`
    t.same(rows.map(lineOf), documented().map(lineOf))
  })
}
