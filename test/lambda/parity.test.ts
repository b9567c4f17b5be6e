import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import t from 'tap'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { buildArtifact, functionEnv } from './artifact.ts'
import { ECHO_CASES, echoed } from './echo-cases.ts'
import { buildEcho } from './echo.ts'
import { sameEverywhere, served } from './parity.ts'
import { runtimeClient, startRuntime } from './runtime.ts'
import { serviceCases } from './service-cases.ts'
import { overSocket, type Send } from './transports.ts'

const client = await runtimeClient(t)
if (client !== undefined) {
  t.test('what transports get wrong arrives through Lambda\'s own runtime client as over the socket', async (t) => {
    const directory = t.testdir({
      'index.mjs': `export { handler } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'echo.ts')))}`
    })
    const runtime = await startRuntime(t, client, { directory, env: {} })
    const app = await buildEcho()
    t.teardown(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })
    await sameEverywhere(t, ECHO_CASES, overSocket((app.server.address() as AddressInfo).port), event => runtime.invoke(event), echoed)
  })

  t.test('the service answers through Lambda\'s own runtime client as over the socket', async (t) => {
    const engines = await startEngines(t)
    engines.env['CORS_ORIGIN'] = 'https://app.example.com'
    const directory = await buildArtifact(t)
    const runtime = await startRuntime(t, client, { directory, env: functionEnv(engines) })
    const app = await buildTestApp(t, engines, { docs: { source: 'files', directory: join(directory, 'openapi') } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const socket = overSocket((app.server.address() as AddressInfo).port)

    const { accessToken, user } = await signIn(app, engines, 'reader@example.com')
    const cases = await serviceCases(socket, { token: accessToken, userId: user.id })
    let sent = 0
    const unique = (send: Send): Send => request =>
      send({ ...request, ...(typeof request.body === 'string' ? { body: request.body.replaceAll('{n}', String(++sent).padStart(6, '0')) } : {}) })
    const statuses = await sameEverywhere(t, cases, socket, event => runtime.invoke(event), served, unique)
    for (const status of [200, 201, 202, 204, 304, 400, 401, 404, 405, 409, 412, 413, 415, 422]) t.ok(statuses.includes(status), `one of the answers is ${status}`)
    t.notOk(statuses.some(status => status >= 500), 'and none is our fault')
  })
}
