import t from 'tap'
import { linkIn, mailTo, newContext } from './helper.ts'
import { openVerifyPage } from './verify-page.ts'

const { browser, skip, site, post, register, exchange, codeOf, heading, confirm, send, address, status, shownCode, storage, look, fits } = await openVerifyPage(t)

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
