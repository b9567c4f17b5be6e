import t from 'tap'
import { axeFindings } from './axe.ts'
import { newContext, picture, startSite } from './helper.ts'
import { openVerifyPage } from './verify-page.ts'

const { browser, skip, site, register, exchange, heading, confirm, send, address, status, shownCode, look } = await openVerifyPage(t)

t.test('the link of a mail whose code expired, which has no fragment, leads to a new code', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const end of ['', '#']) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify${end}`)
    await heading(page, 'Get a new code')
    t.notMatch(await page.locator('#ask').textContent(), /incomplete|no longer/, 'nothing is wrong with the link')
  }
  await look(t, page, 'ask-light')
})

t.test('a link that lost its end says so, and a wrong address is rejected', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const end of ['#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11&code=', '#code=12345678', '#x=<img src=x onerror=alert(1)>']) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify${end}`)
    await heading(page, 'This link is incomplete')
  }
  await address(page).fill('ada@nowhere')
  await send(page)
  await status(page, /does not look like an e-mail address/)
  await look(t, page, 'incomplete-light')
  t.same(context.complaints, [])
})

t.test('a link with a code that is not ours looks like one that has expired', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const [challengeId, code] of [['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '12345678'], ['x', 'y']]) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify#challengeId=${challengeId}&code=${code}`)
    await confirm(page)
    await heading(page, 'This link no longer works')
  }
})

t.test('without JavaScript the page says what to do', { skip }, async t => {
  const context = await newContext(t, browser!, { javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${site.url}/verify`)
  await page.locator('noscript p').waitFor()
  t.match(await page.locator('noscript p').textContent(), 'type the 8 digits from the message')
  t.equal(await page.getByRole('button').count(), 0)
  await picture(page, 'no-javascript')
  // axe is a script itself: it looks at the same elements on a page that may have some.
  const html = (await (await fetch(`${site.url}/verify`)).text()).replace(/<script[\s\S]*?<\/script>|<\/?noscript>/g, '')
  const same = await (await newContext(t, browser!)).newPage()
  await same.setContent(html)
  await same.getByText('type the 8 digits from the message').waitFor()
  t.same(await axeFindings(same), [])
})

t.test('without a network, or with the service in trouble, the page says so, and the next press works', { skip }, async t => {
  const link = await register('trouble@example.com')
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(link)
  await context.setOffline(true)
  await confirm(page)
  await status(page, /could not be reached/)
  await context.setOffline(false)
  await site.engines.faults.dynamodb.stop()
  await confirm(page)
  await status(page, /not available at the moment/)
  await look(t, page, 'trouble-light')
  await site.engines.faults.dynamodb.start()
  await page.reload() // what most users do
  await confirm(page)
  await heading(page, 'Confirmed')
  t.equal((await exchange(link, await shownCode(page))).status, 200)
  t.same(context.complaints, [])
})

t.test('an address that has had all its codes: the page says how many minutes to wait', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(`${site.url}/verify`)
  const askAgain = () => page.evaluate(() => fetch('v2/auth/challenges', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"email":"exhausted@example.com"}' }).then(answer => answer.status))
  let asked = 0
  while (await askAgain() === 202 && asked < 20) asked++
  t.equal(asked, 5)
  await address(page).fill('exhausted@example.com')
  await send(page)
  await status(page, /^Too many codes have been sent to this address\. Use the newest one, or try again in (59|60) minutes\.$/)
  t.ok(await page.locator('#status.alarm').isVisible())
  t.equal(await address(page).inputValue(), 'exhausted@example.com', 'what was typed is still there')
  await look(t, page, 'exhausted-light')
})

t.test('a wait is shown in seconds, minutes or hours, and an answer of a firewall or gateway is handled', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  const gateway = { status: 0, headers: {} as Record<string, string>, body: '<html>gateway</html>' }
  await page.route('**/v2/auth/challenges', route => route.fulfill(gateway))
  await page.goto(`${site.url}/verify`)
  await address(page).fill('wait@example.com')
  for (const [seconds, text] of [['1', '1 second'], ['89', '89 seconds'], ['90', '2 minutes'], ['3600', '60 minutes'], ['80000', '23 hours'], ['', '60 seconds']]) {
    Object.assign(gateway, { status: 429, headers: seconds === '' ? {} : { 'retry-after': seconds } })
    await send(page)
    await status(page, new RegExp(`^Too many requests\\. Try again in ${text}\\.$`))
  }
  for (const [code, text] of [[502, /not available/], [403, /not available/], [400, /does not look like an e-mail address/]] as const) {
    Object.assign(gateway, { status: code, headers: {} })
    await send(page)
    await status(page, text)
  }
})

t.test('a user who presses too often learns when to go on', { skip }, async t => {
  const limited = await startSite(t, { RATE_LIMIT_MAX: '5' }) // a fifth of it for codes
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(`${limited.url}/verify`)
  await address(page).fill('often@example.com')
  await send(page)
  await page.getByRole('button', { name: 'No message? Send another one' }).click()
  await send(page)
  await status(page, /Too many requests\. Try again in \d+ seconds?\./)
  t.equal(await address(page).inputValue(), 'often@example.com', 'what was typed is still there')
})
