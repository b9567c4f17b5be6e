import t, { type Test } from 'tap'
import { serverOptions } from '../../src/server/options.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'

const engines = await startEngines(t)

/** Whose request it is, by the header of a proxy. */
async function ipOf (t: Test, config: Parameters<typeof serverOptions>[0]) {
  const app = await buildTestApp(t, engines, {
    server: serverOptions(config),
    beforeReady: app => { app.get('/ip', async ({ ip }) => ({ ip })) }
  })
  return async (forwarded: string) => (await app.inject({ url: '/ip', remoteAddress: '10.1.2.3', headers: { 'x-forwarded-for': forwarded } })).json<{ ip: string }>().ip
}

t.test('nobody is a proxy who is not named, and one that is may write ports', async t => {
  t.equal(await (await ipOf(t, {}))('203.0.113.1'), '10.1.2.3')
  t.equal(await (await ipOf(t, { TRUST_PROXY: ['192.0.2.0/24'] }))('203.0.113.1'), '10.1.2.3')
  const ip = await ipOf(t, { TRUST_PROXY: ['10.0.0.0/8'] })
  t.equal(await ip('203.0.113.1'), '203.0.113.1')
  t.equal(await ip('203.0.113.1, 10.9.9.9:4711'), '203.0.113.1')
})

// What slow clients see of it is in test/faults/server.test.ts.
t.test('a connection without progress is closed after twenty seconds, a slow request after nine, its headers after eight', async t => {
  const { server } = await buildTestApp(t, engines, { server: serverOptions({}) })
  t.match(server, { timeout: 20_000, requestTimeout: 9_000, headersTimeout: 8_000 })
})
