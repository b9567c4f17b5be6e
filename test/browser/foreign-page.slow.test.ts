import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { mailTo, newContext, openBrowser, startSite } from './helper.ts'

// Both names lead to this machine, as a name server of an attacker's would have it.
const browser = await openBrowser(t, ['--host-resolver-rules=MAP evil.example 127.0.0.1', '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests'])
const skip = browser === undefined && 'not run (Chromium is missing)'

const register = (url: string, email: string) => fetch(`${url}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email, name: 'Ada' }) })

t.test('a page of another site reads nothing of the inbox and the queues, by their own names or by its own', { skip }, async t => {
  const site = await startSite(t)
  await register(site.url, 'ada@example.com')
  await mailTo(site, 'ada@example.com')
  const evil = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title>') })
  await new Promise<void>(resolve => { evil.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { evil.closeAllConnections(); evil.close() })
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(`http://evil.example:${(evil.address() as AddressInfo).port}/`)

  const read = (url: string, init: { method?: string, headers?: Record<string, string>, body?: string } = {}): Promise<string> => page.evaluate(({ url, init }) => fetch(url, init).then(answer => answer.text(), () => 'refused'), { url, init })
  t.equal(await read('/'), '<!doctype html><title>evil</title>', 'it may send requests')
  t.equal(await read(`${site.inbox}/api/email`), 'refused')
  t.equal(await read(site.engines.sqsEndpoint, { method: 'POST', headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.ListQueues' }, body: '{}' }), 'refused')

  const inbox = site.inbox.replace('localhost', 'evil.example')
  const answer = await page.goto(`${inbox}/api/email`)
  t.equal(answer?.status(), 403, 'a page of its own name and the port of the inbox')
  t.equal(await page.locator('body').textContent(), 'Refused: Host evil.example is not a name of this server\n')
})

t.test('the inbox’s own page shows a mail as soon as it comes, and marks what was read', { skip }, async t => {
  const site = await startSite(t)
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  const sockets: string[] = []
  page.on('websocket', socket => { sockets.push(socket.url()) })
  await page.goto(site.inbox)
  await register(site.url, 'ada@example.com')
  const item = page.getByTestId('email-list-item')
  await item.first().waitFor()
  t.equal(await item.count(), 1, 'without a reload')
  await item.first().click()
  await page.frameLocator('iframe[title="Email HTML content"]').getByRole('link', { name: /confirm/i }).waitFor()
  t.ok(sockets.some(url => url.includes('/socket.io/')), 'by its web socket')
  t.same(context.complaints, [])
})
