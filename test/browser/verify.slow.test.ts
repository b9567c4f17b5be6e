import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { axeFindings } from './axe.ts'
import { linkIn, mailTo, newContext, openBrowser, picture, startSite, type Site } from './helper.ts'

const browser = await openBrowser(t)
const skip = browser === undefined && 'not run (Chromium is missing)'
const site: Site = browser === undefined ? undefined as never : await startSite(t)

const post = (path: string, body: object) => fetch(`${site.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

async function register (email: string, name = 'Ada Lovelace'): Promise<string> {
  const response = await post('/v2/users', { email, name })
  if (response.status !== 202) throw new Error(`registration answered ${response.status}`)
  return linkIn(await mailTo(site, email))
}

/** What the app that waits for a code does with it. */
async function exchange (link: string, code: string): Promise<Response> {
  const challengeId = new URLSearchParams(new URL(link).hash.slice(1)).get('challengeId')
  return await post('/v2/auth/tokens', { grantType: 'code', challengeId, code })
}

const codeOf = (link: string) => new URLSearchParams(new URL(link).hash.slice(1)).get('code')!
const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).waitFor()
const confirm = (page: Page) => page.getByRole('button', { name: 'Confirm' }).click()
const send = (page: Page) => page.getByRole('button', { name: 'Send a new code' }).click()
const address = (page: Page) => page.getByLabel('Your e-mail address')
const status = async (page: Page, text: RegExp) => { await page.locator('#status').filter({ hasText: text }).waitFor() }
const shownCode = async (page: Page) => (await page.locator('#code-shown .digits').textContent())!
const storage = (page: Page) => page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]')
/** Takes a picture of the page for a reader, and looks for faults of accessibility. */
async function look (t: Test, page: Page, name: string): Promise<void> {
  await picture(page, name)
  t.same(await axeFindings(page), [], name)
}
const fits = (page: Page) => page.evaluate('document.documentElement.scrollWidth <= innerWidth')

t.test('a link shows its code to each tab that confirms, and the app signs in with it', { skip }, async t => {
  const link = await register('twice@example.com')
  const context = await newContext(t, browser!)
  const [first, second] = [await context.newPage(), await context.newPage()]
  for (const page of [first, second]) {
    await page.goto(link)
    await heading(page, 'Confirm it’s you')
    await confirm(page)
    await heading(page, 'Confirmed')
    t.equal(await shownCode(page), codeOf(link))
    t.equal(await page.evaluate('getSelection().selectAllChildren(document.querySelector(".digits")), getSelection().toString().trim()'), codeOf(link), 'without a space when it is selected')
  }
  const answer = await exchange(link, await shownCode(second))
  t.equal(answer.status, 200)
  t.match(await answer.json(), { user: { email: 'twice@example.com', status: 'ACTIVE' } })
  t.same(context.complaints, [])
})

t.test('a link whose code has signed in says so, and a code that is asked for on the page confirms', { skip }, async t => {
  const link = await register('used@example.com')
  t.equal((await exchange(link, codeOf(link))).status, 200)
  const context = await newContext(t, browser!, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' })
  const page = await context.newPage()
  await page.goto(link)
  await confirm(page)
  await heading(page, 'This link no longer works')
  t.match(await page.locator('#ask').textContent(), 'only until its code has been used to sign in')
  await look(t, page, 'used-dark')

  await address(page).fill('used@example.com')
  await send(page)
  await heading(page, 'Check your inbox')
  t.match(await page.locator('#enter').textContent(), 'If used@example.com belongs to an account')
  t.equal(await page.evaluate('document.activeElement.id'), 'code', 'the code can be typed at once')
  await look(t, page, 'enter-dark')
  await page.keyboard.type('0000 0000')
  await page.keyboard.press('Enter')
  await status(page, /This code is wrong or has expired/)
  await look(t, page, 'wrong-code-dark')

  await page.reload()
  await heading(page, 'Check your inbox')
  t.match(await page.locator('#enter').textContent(), 'If used@example.com belongs to an account', 'a reload still knows where the code went')
  const code = /\b\d{8}\b/.exec((await mailTo(site, 'used@example.com', 2)).text)![0]
  await page.getByLabel('8-digit code').fill(`${code.slice(0, 4)} ${code.slice(4)}`) // as a user groups it
  await confirm(page)
  await heading(page, 'Confirmed')
  t.notOk(await page.locator('#code-shown').isVisible(), 'no app waits for a code that was asked for here')
  await look(t, page, 'done-dark')
  await page.reload()
  await heading(page, 'Confirmed')
  t.same(context.complaints, [])
})

t.test('a reload goes on where the page was, and the tab’s history is all that remembers', { skip }, async t => {
  const link = await register('reload@example.com')
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.clock.install()
  const isClean = async () => {
    t.equal(page.url(), `${site.url}/verify`, 'challenge and code are not in the address')
    t.same(await storage(page), [0, 0, ''])
  }
  await page.goto(link)
  await heading(page, 'Confirm it’s you')
  await isClean()
  await page.reload()
  await heading(page, 'Confirm it’s you')
  await isClean()
  await confirm(page)
  await heading(page, 'Confirmed')
  await isClean()
  await page.reload()
  await heading(page, 'Confirmed')
  t.equal(await shownCode(page), codeOf(link))
  await isClean()
  const other = await context.newPage()
  await other.goto(`${site.url}/verify`)
  await heading(other, 'Get a new code')
  t.equal((await exchange(link, await shownCode(page))).status, 200)

  await page.clock.fastForward('11:00')
  await page.reload()
  await heading(page, 'Confirmed')
  t.notOk(await page.locator('#code-shown').isVisible(), 'a code that has expired is not shown')
  await page.getByText('ask for a code there').waitFor()
  t.same(context.complaints, [])
})

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

/** Asks for another address, in the app of a user who has just signed in with a link. */
async function askForChange (link: string, email: string): Promise<{ challengeId: string }> {
  const { accessToken } = await (await exchange(link, codeOf(link))).json() as { accessToken: string }
  const response = await fetch(`${site.url}/v2/users/me/email`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${accessToken}` }, body: JSON.stringify({ email }) })
  return await response.json() as { challengeId: string }
}

t.test('the link to a new address confirms the change, and the link of the notice undoes it: no code is shown for either', { skip }, async t => {
  await askForChange(await register('old@example.com'), 'new@example.com')
  const context = await newContext(t, browser!, { viewport: { width: 320, height: 568 } })
  const page = await context.newPage()
  await page.goto(linkIn(await mailTo(site, 'new@example.com')))
  await heading(page, 'Confirm your new address')
  await look(t, page, 'change-light')
  await confirm(page)
  await heading(page, 'Your address has been changed')
  t.notOk(await page.locator('#code-shown').isVisible())
  t.ok(await fits(page))
  await look(t, page, 'changed-light')

  const link = linkIn(await mailTo(site, 'old@example.com', 2))
  for (let times = 0; times < 2; times++) {
    await page.goto('about:blank')
    await page.goto(link)
    await heading(page, 'Undo the change of your address')
    t.match(await page.locator('#confirm').textContent(), 'Do you want to keep the new address? Close this page.')
    await look(t, page, 'undo-light')
    await page.getByRole('button', { name: 'Undo the change', exact: true }).click()
    await heading(page, 'The change has been undone')
    t.equal(await page.title(), 'The change has been undone')
    t.ok(await fits(page))
    await page.reload()
    await heading(page, 'The change has been undone')
  }
  await look(t, page, 'undone-light')
  t.match(await site.app.users.findByEmail('old@example.com'), { status: 'ACTIVE' })
  t.same(context.complaints, [])
})

t.test('a change or an undo that is not possible says why, and asks for no address', { skip }, async t => {
  const { challengeId } = await askForChange(await register('wants@example.com'), 'has@example.com')
  await mailTo(site, 'has@example.com')
  await post('/v2/users', { email: 'has@example.com', name: 'The Owner' })
  const owner = linkIn(await mailTo(site, 'has@example.com', 2))
  t.equal((await exchange(owner, codeOf(owner))).status, 200)
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  for (const [link, button, title, reason] of [
    [`#challengeId=${challengeId}&code=${site.app.keys.codeOf(challengeId)}&action=change`, 'Confirm', 'This address cannot be used', 'Another account has this address'],
    ['#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11&code=12345678&action=change', 'Confirm', 'This link no longer works', 'Start the change again in the app'],
    ['#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11&code=12345678&action=undo', 'Undo the change', 'This link no longer works', 'can be undone for seven days']
  ] as const) {
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify${link}`)
    await page.getByRole('button', { name: button, exact: true }).click()
    await heading(page, title)
    t.match(await page.locator('#done').textContent(), reason)
    t.notOk(await address(page).isVisible())
  }
  await page.goto('about:blank')
  await page.goto(`${site.url}/verify#challengeId=3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11&code=12345678&action=constructor`)
  await heading(page, 'Confirm it’s you')
  t.same(context.complaints, [])
})

t.test('a second link in the same tab starts over, and Back returns to the first', { skip }, async t => {
  const [one, two] = [await register('one@example.com'), await register('two@example.com')]
  const context = await newContext(t, browser!)
  const page = await context.newPage()
  await page.goto(one)
  await confirm(page)
  await heading(page, 'Confirmed')
  await page.goto(two) // only the fragment differs: the page is not loaded again
  await heading(page, 'Confirm it’s you')
  await confirm(page)
  await heading(page, 'Confirmed')
  t.equal(await shownCode(page), codeOf(two))
  t.equal(page.url(), `${site.url}/verify`)
  await page.goBack()
  await page.locator('.digits', { hasText: codeOf(one) }).waitFor()
})

t.test('the code can be copied, as the app takes it', { skip }, async t => {
  const link = await register('copy@example.com')
  const context = await newContext(t, browser!, { permissions: ['clipboard-read', 'clipboard-write'] })
  const page = await context.newPage()
  await page.goto(link)
  await confirm(page)
  await page.getByRole('button', { name: 'Copy the code' }).click()
  await status(page, /Copied/)
  t.equal((await exchange(link, await page.evaluate('navigator.clipboard.readText()'))).status, 200)
  await look(t, page, 'copied-light')
})

t.test('the page works from the keyboard, moves a screen reader along, and fits a small screen, light and dark', { skip }, async t => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const link = await register(`${colorScheme}@example.com`)
    const context = await newContext(t, browser!, { viewport: { width: 320, height: 568 }, reducedMotion: 'reduce', colorScheme })
    const page = await context.newPage()
    await page.goto(link)
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm it’s you', 'a screen reader begins with the heading')
    t.equal(await page.title(), 'Confirm it’s you')
    t.equal(await page.locator('#status').getAttribute('aria-live'), 'polite')
    t.ok(await fits(page), 'nothing is wider than the screen')
    await look(t, page, `small-confirm-${colorScheme}`)
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirm')
    await page.keyboard.press('Enter')
    await heading(page, 'Confirmed')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Confirmed', 'and goes on with the next one')
    t.equal(await page.title(), 'Confirmed')
    t.ok(await fits(page))
    await look(t, page, `small-confirmed-${colorScheme}`)
    await page.goto('about:blank')
    await page.goto(`${site.url}/verify`)
    await heading(page, 'Get a new code')
    await address(page).fill(`a-very-long-name-of-a-mailbox-${'x'.repeat(30)}@a-long-name-of-a-host.${'y'.repeat(40)}.example`)
    await look(t, page, `small-ask-${colorScheme}`)
    await send(page)
    await heading(page, 'Check your inbox')
    t.ok(await fits(page), 'nor a long address')
    await look(t, page, `small-enter-${colorScheme}`)
  }
})

t.test('the page speaks the browser’s language, from right to left too, and says in it how long to wait', { skip }, async t => {
  for (const [locale, titles, wait] of [
    ['ar', ['تأكيد هويتك', 'تم التأكيد', 'الحصول على رمز جديد'], 'طلبات كثيرة جدًا. ستتمكن من المحاولة مجددًا خلال دقيقتين.'],
    ['de-AT', ['Bestätigen Sie, dass Sie es sind', 'Bestätigt', 'Neuen Code anfordern'], 'Zu viele Anfragen. Versuchen Sie es in 2 Minuten erneut.'],
    ['ja', ['ご本人の確認', '確認しました', '新しいコードを取得'], 'リクエストが多すぎます。2 分後にもう一度お試しください。']
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const link = await register(`${locale.toLowerCase()}-${colorScheme}@example.com`)
      const context = await newContext(t, browser!, { locale, colorScheme, viewport: { width: 360, height: 640 } })
      const page = await context.newPage()
      await page.goto(link)
      await heading(page, titles[0])
      t.ok(await fits(page))
      await look(t, page, `${locale}-confirm-${colorScheme}`)
      await page.locator('#confirm button').click()
      await heading(page, titles[1])
      t.equal(await shownCode(page), codeOf(link))
      const [left, right] = await page.evaluate<[number, number]>('Array.from(document.querySelectorAll(".digits span"), half => half.getBoundingClientRect().left)')
      t.ok(left < right, 'digits run from left to right')
      await look(t, page, `${locale}-confirmed-${colorScheme}`)
      const other = await context.newPage()
      await other.route('**/v2/auth/challenges', route => route.fulfill({ status: 429, headers: { 'retry-after': '90' }, body: '{}' }))
      await other.goto(`${site.url}/verify`)
      await heading(other, titles[2])
      await other.locator('#email').fill('wait@example.com')
      await other.locator('#ask button').click()
      await status(other, new RegExp(`^${wait.replaceAll('.', '\\.')}$`))
      t.ok(await fits(other))
      await look(t, other, `${locale}-wait-${colorScheme}`)
      t.same(context.complaints, [])
    }
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
