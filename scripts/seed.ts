import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp, type App } from '../src/app.ts'
import { loadConfig } from '../src/plugins/config.ts'
import type { Tokens } from '../src/modules/auth/contract.ts'
import type { User } from '../src/modules/users/contract.ts'
import { Failure, UsageError } from './command.ts'
import { readLocalEnv } from './local-env.ts'
import { readOptions } from './options.ts'
import { SEEDED_ADMIN } from './seeded-admin.ts'

const HELP = `npm run seed: a user in each state, in the running npm start, and their tokens.

  ${SEEDED_ADMIN}        an admin
  active@example.com       has confirmed the address
  pending@example.com      has not: the code of the mail is printed
  suspended@example.com    was suspended by the admin: the tokens are those from before

Repeat it whenever you need new tokens: the same accounts are brought back into these states. Access tokens are valid for an
hour. Each time takes one of the 30 codes that an address can have in a day, and mails each user.

  --json           prints an array of {email, id, status, role, accessToken, refreshToken}, or {…, challengeId, code}

LOCAL_DATA_DIR     the data directory of that npm start (.local)
`

interface Seeded extends Pick<User, 'email' | 'id' | 'status' | 'role'>, Partial<Pick<Tokens, 'accessToken' | 'refreshToken'>> {
  challengeId?: string
  code?: string
}

/**
 * An app of its own on the engines of the running one, without a port. Users register and sign in through its API. It makes
 * the first admin, for which a service has to be configured.
 */
async function buildSeedApp (env: Record<string, string>): Promise<App> {
  Object.assign(process.env, env) // the SDK reads its credentials there
  return await buildApp({
    config: loadConfig({ ...env, ADMIN_EMAILS: `${env['ADMIN_EMAILS'] ?? ''},${SEEDED_ADMIN}`, ACCESS_TOKEN_TTL_SECONDS: '3600', RATE_LIMIT_MAX: '1000000', LOG_LEVEL: 'silent' }),
    docs: { source: 'routes' }
  })
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

function resultOf<T> (request: string, status: number, body: string): T {
  const json = body === '' ? undefined : JSON.parse(body) as unknown
  if (status < 400) return json as T
  const { code, detail } = json as { code: string, detail: string }
  throw new Failure(`${request}: ${status} ${code} (${detail})`)
}

/** Milliseconds for what follows from a request in the background. It takes a tenth of a second. */
const PATIENCE = 15_000

/** Repeats an attempt until it gives something. What it throws meanwhile is thrown at the end. */
async function eventually<T> (attempt: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + PATIENCE; ; await sleep(50)) {
    const isLast = Date.now() > end
    const result = await attempt().catch((error: unknown) => {
      if (isLast || !(error instanceof Failure)) throw error
    })
    if (result !== undefined) return result
    if (isLast) throw new Failure('npm start does not handle what is written to its tables: does it still run?')
  }
}

async function seed (app: App): Promise<Seeded[]> {
  // One network can have five codes for an address in an hour, which would end a morning of work.
  const remoteAddress = `10.${randomInt(256)}.${randomInt(256)}.1`

  async function call<T> (url: string, payload: object): Promise<T> {
    const { statusCode, body } = await app.inject({ method: 'POST', url, remoteAddress, payload })
    return resultOf(`POST ${url}`, statusCode, body)
  }

  async function register (email: string, name: string) {
    const { challengeId } = await call<{ challengeId: string }>('/v2/users', { email, name })
    return { challengeId, code: app.keys.codeOf(challengeId) }
  }

  async function signIn (email: string, name: string): Promise<Seeded> {
    const challenge = await register(email, name)
    // A challenge that is not open yet has no tries that this could use up.
    const { accessToken, refreshToken, user: { id, status, role } } = await eventually(() => call<Tokens>('/v2/auth/tokens', { grantType: 'code', ...challenge }))
    return { email, id, status, role, accessToken, refreshToken }
  }

  const admin = await signIn(SEEDED_ADMIN, 'Ada the Admin')

  /** Asks the running service, which would otherwise show for a minute what it has cached. */
  async function asAdmin<T> (method: Method, path: string, body?: object): Promise<T> {
    const headers = { authorization: `Bearer ${admin.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const answer = await fetch(`${app.config.PUBLIC_URL}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return resultOf(`${method} ${path}`, answer.status, await answer.text())
  }

  const find = async (email: string) => (await asAdmin<{ items: User[] }>('GET', `/v2/users?email=${encodeURIComponent(email)}`)).items[0]
  const reactivate = async (user: User | undefined) => { if (user?.status === 'SUSPENDED') await asAdmin('PATCH', `/v2/users/${user.id}`, { status: 'ACTIVE' }) }

  await reactivate(await find('active@example.com'))
  const active = await signIn('active@example.com', 'Grace the Active')

  // A confirmed account never becomes pending again.
  const past = await find('pending@example.com')
  if (past !== undefined && past.status !== 'PENDING_VERIFICATION') await asAdmin('DELETE', `/v2/users/${past.id}`)
  const challenge = await register('pending@example.com', 'Linus the Pending')
  const { id, status, role } = await eventually(() => find('pending@example.com'))

  await reactivate(await find('suspended@example.com'))
  const suspended = await signIn('suspended@example.com', 'Mallory the Suspended')
  await asAdmin('PATCH', `/v2/users/${suspended.id}`, { status: 'SUSPENDED' })

  return [admin, active, { email: 'pending@example.com', id, status, role, ...challenge }, { ...suspended, status: 'SUSPENDED' }]
}

const textOf = ({ email, id, status, role, ...secrets }: Seeded) =>
  [`${email}  ${role}, ${status}, ${id}`, ...Object.entries(secrets).map(([name, value]) => `  ${name.padEnd(12)}  ${value}`)].join('\n')

try {
  const options = readOptions(HELP, { json: { type: 'boolean' } })
  const app = await buildSeedApp(readLocalEnv())
  try {
    const users = await seed(app)
    console.log(options['json'] === true ? JSON.stringify(users, undefined, 2) : users.map(textOf).join('\n\n'))
  } finally {
    await app.close()
  }
} catch (error) {
  const isOurs = error instanceof UsageError || error instanceof Failure
  console.error(isOurs ? error.message : error)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
