import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildTokenApp, PERSON } from '../plugins/minimal-app.ts'
import { httpApiEvent, startKeyServer } from './support.ts'

// A process of its own: it sets the environment that the entry reads.

const app = await buildTokenApp(t, { JWT_SECRET: randomBytes(32).toString('hex') })
const keys = await startKeyServer(t, app.keys.jwks)

t.test('the function reads its settings from the environment, and lets tokens of the service in', async t => {
  Object.assign(process.env, { JWKS_URL: keys.url, JWT_ISSUER: 'user-service', JWT_AUDIENCE: 'user-service' })
  const { handler } = await import('../../src/authorizer.ts')
  t.match(await handler(httpApiEvent(`Bearer ${await app.accessTokens.sign(PERSON)}`)), { isAuthorized: true })
  t.same(await handler(httpApiEvent('Bearer none')), { isAuthorized: false })
})
