import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { gunzipSync, gzipSync } from 'node:zlib'
import { accessTokens } from '../local/access-token.ts'
import { completeEnv } from '../local/env.ts'
import { restEvent } from '../local/rest-event.ts'
import { hashOf } from './build/lambda.ts'

const ROOT = join(import.meta.dirname, '..')

/** What hooks/code-cache is given, and what it returns. */
export interface CacheRequest {
  files: Record<string, string>
  environment: Record<string, string>
  requests: object[]
}
export interface MadeCache { runtime: string, cache: string, statuses: number[] }

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:'

/** The variables of a function whose secrets come from Secrets Manager. The hook adds the address of its own AWS. */
const environment = () => completeEnv({
  NODE_ENV: 'production',
  LOG_LEVEL: 'error',
  DOCS_ENABLED: 'false',
  CACHE_TTL_SECONDS: '0',
  REDIS_URL: undefined,
  JWT_SECRET: undefined,
  JWT_SECRET_ARN: `${ARN}root`,
  CODE_SECRET: undefined,
  CODE_SECRET_ARN: `${ARN}codes`,
  AWS_ACCESS_KEY_ID: 'none',
  AWS_SECRET_ACCESS_KEY: 'none'
})

/** An access token as the function's secret would sign it: the hook's AWS makes a secret of its ARN. */
function accessToken ({ JWT_SECRET_ARN, JWT_ISSUER, JWT_AUDIENCE }: Record<string, string>): string {
  const id = '00000000-0000-4000-8000-000000000000'
  return accessTokens({ secret: `${JWT_SECRET_ARN}, which protects nothing`, issuer: JWT_ISSUER!, audience: JWT_AUDIENCE! })({ sub: id, email: 'ada@example.com', sid: id, jti: id })
}

/** The first requests that a function most often gets, and the status of each answer: the user of the token does not exist. */
function firstRequests (env: Record<string, string>): [request: object, status: number][] {
  const headers = { accept: 'application/json', host: 'api.example.com' }
  const registration = { method: 'POST', headers, body: { email: 'ada@example.com', name: 'Ada Lovelace' } }
  return [
    [restEvent({ method: 'GET', path: '/health/live', headers }), 200],
    [restEvent({ ...registration, path: '/v1/users' }), 201],
    [restEvent({ ...registration, path: '/v2/users' }), 202],
    [restEvent({ method: 'GET', path: '/v2/users/me', headers: { ...headers, authorization: `Bearer ${accessToken(env)}` } }), 401]
  ]
}

/** Runs the hook in a process of its own, so that the cache is of this process's Node. */
export async function makeLocally (request: CacheRequest): Promise<MadeCache> {
  const program = `
    import { readFileSync, writeSync } from 'node:fs'
    import { handler } from ${JSON.stringify(join(ROOT, 'hooks/code-cache/index.mjs'))}
    const made = Buffer.from(JSON.stringify(await handler(JSON.parse(readFileSync(0, 'utf8')))))
    for (let sent = 0; sent < made.length;) sent += writeSync(3, made, sent)
    process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'ignore', 'inherit', 'pipe'], env: { PATH: process.env['PATH'] } })
  child.stdin!.end(JSON.stringify(request))
  let result = ''
  ;(child.stdio[3] as Readable).setEncoding('utf8').on('data', (text: string) => { result += text })
  const [code] = await once(child, 'close') as [number | null]
  if (code !== 0) throw new Error(`The code cache could not be made: exit code ${String(code)}`)
  return JSON.parse(result) as MadeCache
}

/**
 * Adds a code cache to an artifact, in place of an older one.
 *
 * @param make runs the hook where the artifact will run
 * @returns the runtime that it is for
 * @throws when the app did not answer as expected, since the cache would lack what it needs
 */
export async function addCodeCache (directory: string, make: (request: CacheRequest) => Promise<MadeCache> = makeLocally): Promise<string> {
  const service = await readFile(join(directory, 'service.cjs'))
  const env = environment()
  const expected = firstRequests(env)
  const code = (await readdir(directory)).filter(name => /\.[cm]js$/.test(name))
  const { runtime, cache, statuses } = await make({
    files: Object.fromEntries(await Promise.all(code.map(async name => [name, gzipSync(await readFile(join(directory, name))).toString('base64')]))) as Record<string, string>,
    environment: env,
    requests: expected.map(([request]) => request)
  })
  if (statuses.join() !== expected.map(([, status]) => status).join()) throw new Error(`the app answered ${statuses.join(', ')}`)
  const caches = join(directory, 'code-cache')
  await rm(caches, { recursive: true, force: true })
  await mkdir(caches)
  await writeFile(join(caches, `${runtime}-${hashOf(service)}`), gunzipSync(Buffer.from(cache, 'base64')))
  return runtime
}
