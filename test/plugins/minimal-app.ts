import Fastify from 'fastify'
import { completeEnv } from '../../local/env.ts'
import aws from '../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import correlation from '../../src/plugins/correlation.ts'
import errors from '../../src/plugins/errors/index.ts'
import jwt from '../../src/plugins/jwt.ts'
import keys from '../../src/plugins/keys/index.ts'
import type { Test } from '../engines.ts'

/** Keys and tokens alone, with a route that answers who is asking, one that tampers with it, and one for admins; ready. */
export async function buildTokenApp (t: Test, env: Record<string, string>) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(config, { config: loadConfig(completeEnv({ JWT_SECRET: undefined, ...env })) })
  await app.register(aws)
  await app.register(keys)
  await app.register(correlation)
  await app.register(errors)
  await app.register(jwt)
  app.get('/who', { onRequest: app.authenticate }, async request => request.user)
  app.get('/climb', { onRequest: app.authenticate }, async request => Object.assign(request.user, { role: 'admin' }))
  app.get('/admin', { onRequest: [app.authenticate, app.requireAdmin] }, async () => ({ ok: true }))
  await app.ready()
  return app
}
export type TokenApp = Awaited<ReturnType<typeof buildTokenApp>>

export const PERSON = { sub: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', email: 'ada@example.com', role: 'user', sid: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42' } as const

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
