import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { pump } from '../pump.ts'
import { png, webp } from '../modules/uploads/pictures.ts'
import { newContext, openBrowser } from './helper.ts'

const browser = await openBrowser(t, ['--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests'])
const skip = browser === undefined && 'not run (Chromium is missing)'

t.test('a web application on another origin uploads a picture and shows it', { skip }, async t => {
  const pages = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><title>app</title>') })
  await new Promise<void>(resolve => { pages.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { pages.closeAllConnections(); pages.close() })
  const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
  const engines = await startEngines(t, { origins: [origin] })
  const port = await freePort()
  const url = `http://localhost:${port}`
  const app = await buildTestApp(t, engines, { env: { CORS_ORIGIN: origin, PUBLIC_URL: url } })
  await app.listen({ port, host: 'localhost' })
  const { accessToken } = await signIn(app, engines, 'ada@example.com')

  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(origin)
  const me = async () => (await app.inject({ method: 'GET', url: '/v2/users/me', headers: { authorization: `Bearer ${accessToken}` } })).json<{ avatarUrl: string }>()
  for (const [contentType, file] of [['image/png', png()], ['image/webp', webp()]] as const) {
    const status = await page.evaluate(async ({ url, accessToken, contentType, bytes }) => {
      const asked = await fetch(`${url}/v2/users/me/avatar`, { method: 'POST', headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' }, body: JSON.stringify({ contentType, size: bytes.length }) })
      const { url: bucket, fields } = await asked.json() as { url: string, fields: Record<string, string> }
      const form = new FormData()
      for (const [name, value] of Object.entries(fields)) form.append(name, value)
      form.append('file', new Blob([new Uint8Array(bytes)], { type: contentType }))
      return (await fetch(bucket, { method: 'POST', body: form })).status
    }, { url, accessToken, contentType, bytes: [...file] })
    t.equal(status, 204, `${contentType}: the page can read the answer of S3`)
    await pump(app, engines)
    const { avatarUrl } = await me()
    // As text, because these tests have no types of the DOM.
    const width = await page.evaluate(`(async () => {
      const image = new Image()
      image.src = ${JSON.stringify(avatarUrl)}
      await image.decode()
      return image.naturalWidth
    })()`)
    t.equal(width, 1, `${contentType}: the page shows it`)
  }
  t.same(context.complaints, [])
})
