import type { Page } from 'playwright-core'
import t from 'tap'
import { linkIn, mailTo, newContext, openBrowser, picture, startSite, type Site } from './helper.ts'

const browser = await openBrowser(t)
const skip = browser === undefined && 'not run (Chromium is missing)'
const site: Site = browser === undefined ? undefined as never : await startSite(t)

async function register (email: string, name = 'Ada Lovelace'): Promise<string> {
  const response = await fetch(`${site.url}/v2/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email, name }) })
  if (response.status !== 202) throw new Error(`registration answered ${response.status}`)
  return linkIn(await mailTo(site, email))
}

const heading = (page: Page, name: string) => page.getByRole('heading', { name }).waitFor()
const confirm = (page: Page) => page.getByRole('button', { name: 'Confirm and sign in' }).click()
const status = async (page: Page, text: RegExp) => { await page.getByRole('status').filter({ hasText: text }).waitFor() }

t.test('a link opened twice works once; the second time the page says so and gets a new mail, whose code signs in', { skip }, async t => {
  const link = await register('twice@example.com')
  const context = await newContext(t, browser!, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' })
  const [first, second] = [await context.newPage(), await context.newPage()]
  await first.goto(link)
  await second.goto(link)
  await confirm(first)
  await heading(first, 'You are signed in')
  await confirm(second)
  await heading(second, 'This link no longer works')
  t.match(await second.locator('#ask').textContent(), 'If you have pressed it before, your address is confirmed already')
  await picture(second, 'used')

  await second.getByLabel('Your e-mail address').fill('twice@example.com')
  await second.getByRole('button', { name: 'Send me a mail' }).click()
  await heading(second, 'Check your mail')
  t.match(await second.locator('#enter').textContent(), 'If twice@example.com belongs to an account')
  t.equal(await second.evaluate('document.activeElement.id'), 'code', 'the code can be typed at once')
  await second.keyboard.type('0000 0000')
  await second.keyboard.press('Enter')
  await status(second, /This code is not right/)
  await picture(second, 'wrong-code')

  const code = /\b\d{8}\b/.exec((await mailTo(site, 'twice@example.com', 2)).text)![0]
  await second.getByLabel('Code').fill(`${code.slice(0, 4)} ${code.slice(4)}`) // as a person groups it
  await confirm(second)
  await heading(second, 'You are signed in')
  t.same(context.complaints, [])
})

t.test('a link that came without its end explains itself, and a wrong address is told', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const end of ['', '#', '#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '#code=12345678', '#x=<img src=x onerror=alert(1)>']) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify${end}`)
    await heading(page, 'Confirm your address')
    t.match(await page.locator('#ask').textContent(), 'the link was not complete')
  }
  await page.getByLabel('Your e-mail address').fill('nobody@nowhere')
  await page.getByRole('button', { name: 'Send me a mail' }).click()
  await status(page, /does not look like an e-mail address/)
  await picture(page, 'incomplete')
  t.same(context.complaints, [])
})

t.test('a link that is no code of ours is told like one that has expired', { skip }, async t => {
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const [challengeId, code] of [['3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '12345678'], ['x', 'y']]) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify#challengeId=${challengeId}&code=${code}`)
    await confirm(page)
    await heading(page, 'This link no longer works')
  }
})

t.test('a second link opened in the same tab is a new beginning', { skip }, async t => {
  const [used, fresh] = [await register('used@example.com'), await register('fresh@example.com', 'Second Person')]
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(used)
  await confirm(page)
  await heading(page, 'You are signed in')
  await page.goto(fresh) // only the fragment differs: the page is not loaded again
  await confirm(page)
  await page.getByText('Second Person').waitFor()
  t.equal(page.url(), `${site.url}/verify`)
})

t.test('the token can be copied', { skip }, async t => {
  const link = await register('copy@example.com')
  const context = await newContext(t, browser!, { permissions: ['clipboard-read', 'clipboard-write'] })
  const page = await context.newPage()
  await page.goto(link)
  await confirm(page)
  await page.getByRole('button', { name: 'Copy' }).click()
  await status(page, /Copied/)
  const copied = await page.evaluate('navigator.clipboard.readText()') as string
  t.match(copied, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  const me = await fetch(`${site.url}/v2/users/me`, { headers: { authorization: `Bearer ${copied}` } })
  t.equal(me.status, 200)
})

t.test('the page works from the keyboard, tells a screen reader what happens, and fits a small screen', { skip }, async t => {
  const link = await register('keys@example.com')
  const context = await newContext(t, browser!, { viewport: { width: 320, height: 568 }, reducedMotion: 'reduce' })
  const page = await context.newPage()
  await page.goto(link)
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm your address', 'a screen reader begins with the heading')
  t.equal(await page.title(), 'Confirm your address')
  t.equal(await page.getByRole('status').getAttribute('aria-live'), 'polite')
  await page.keyboard.press('Tab')
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm and sign in')
  await page.keyboard.press('Enter')
  await heading(page, 'You are signed in')
  t.equal(await page.evaluate('document.activeElement.textContent'), 'You are signed in', 'and goes on with the next one')
  t.equal(await page.title(), 'You are signed in')
  t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is wider than the screen')
  await picture(page, 'small')
})

t.test('without JavaScript the page says what to do', { skip }, async t => {
  const context = await newContext(t, browser!, { javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${site.url}/verify`)
  await page.locator('noscript p').waitFor()
  t.match(await page.locator('noscript p').textContent(), 'type the 8 digits from the mail')
  t.equal(await page.getByRole('button').count(), 0)
  await picture(page, 'no-javascript')
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
  await status(page, /cannot answer at the moment/)
  await picture(page, 'trouble')
  await site.engines.faults.dynamodb.start()
  await confirm(page)
  await heading(page, 'You are signed in')
  t.same(context.complaints, [])
})

t.test('a person who tries too often is told when to go on', { skip }, async t => {
  const limited = await startSite(t, { RATE_LIMIT_MAX: '5' }) // a fifth of it for codes
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(`${limited.url}/verify`)
  await page.getByLabel('Your e-mail address').fill('often@example.com')
  await page.getByRole('button', { name: 'Send me a mail' }).click()
  await page.getByRole('button', { name: 'Nothing came?' }).click()
  await page.getByRole('button', { name: 'Send me a mail' }).click()
  await status(page, /too often\. Try again in \d+ seconds?\./)
  t.equal(await page.getByLabel('Your e-mail address').inputValue(), 'often@example.com', 'what was typed is still there')
})
