import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { join } from 'node:path'
import type { App, AppOptions } from '../src/app.ts'
import { EMAIL_SERVICE, type Engines, type Test } from './engines.ts'
import { intercept } from './faults.ts'
import { mailFrom } from './pump.ts'

export type TestApp = App & { logLines: Record<string, unknown>[] }

/**
 * The real app on real engines, ready. With `EMAIL_EXTRACTED=true` its e-mail module is a client, and the module itself
 * runs in an app beside it, as if it were a service of its own: test/extraction.slow.test.ts runs other tests that way.
 * `logLines` grows with everything it logs.
 */
export async function buildTestApp (t: Test, engines: Engines, { env = {}, beforeReady = () => {}, ...options }: { env?: Record<string, string | undefined>, beforeReady?: (app: App) => void } & Partial<Omit<AppOptions, 'config' | 'logger'>> = {}): Promise<TestApp> {
  // Loaded here, so that tests of single parts do not load the whole app.
  const [{ buildApp }, { loadConfig }, { createLogger }] = await Promise.all([import('../src/app.ts'), import('../src/plugins/config.ts'), import('../src/plugins/logging.ts')])
  const config = loadConfig({ ...engines.env, ...env })
  const logLines: Record<string, unknown>[] = []
  const logger = createLogger(config, { write: line => { logLines.push(JSON.parse(line) as Record<string, unknown>) } })
  const isExtracted = process.env['EMAIL_EXTRACTED'] === 'true' && options.email === undefined
  const app = await buildApp({ config, logger, docs: { source: 'routes' }, ...options, ...(isExtracted ? { email: (await import('../src/modules/email/client.ts')).default } : {}) })
  t.teardown(() => app.close())
  if (isExtracted || EMAIL_SERVICE !== undefined) {
    const mailer = EMAIL_SERVICE === undefined
      ? await buildApp({ config, logger, docs: { source: 'routes' } })
      : await buildServiceIn(EMAIL_SERVICE, { ...engines.env, ...env })
    t.teardown(() => mailer.close())
    await mailer.ready()
    mailFrom(app, mailer)
  }
  // A JVM or Python on a busy machine pauses for longer than DynamoDB ever does.
  if (engines.dynamodb !== 'dynoxide') (app.dynamodb.config.requestHandler as unknown as NodeHttpHandler).updateHttpClientConfig('requestTimeout', 10_000)
  if (engines.dynamodb === 'moto') oneCallAtATime(app)
  beforeReady(app)
  await app.ready()
  return Object.assign(app, { logLines })
}

/**
 * moto answers requests at the same time without isolating them: a transaction that fails puts back a copy of the tables from
 * its start, and so undoes what others wrote meanwhile. The calls still come in any order.
 */
function oneCallAtATime (app: App): void {
  let last: Promise<unknown> = Promise.resolve()
  intercept(app.dynamodb, {}, ({ send }) => {
    const answer = last.then(send)
    last = answer.catch(() => {})
    return answer
  })
}

/** The app of another folder of this project, on the same engines. */
async function buildServiceIn (root: string, env: Record<string, string | undefined>): Promise<App> {
  const load = async <T>(file: string) => await import(join(root, file)) as T
  const { buildApp } = await load<typeof import('../src/app.ts')>('src/app.ts')
  const { loadConfig } = await load<typeof import('../src/plugins/config.ts')>('src/plugins/config.ts')
  const { completeEnv } = await load<typeof import('../local/env.ts')>('local/env.ts')
  return await buildApp({ config: loadConfig(completeEnv({ ...env, LOG_LEVEL: 'silent' })), docs: { source: 'routes' } })
}
