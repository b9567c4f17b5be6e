import t from 'tap'
import { mailTo, newContext, openBrowser, picture, startSite } from './helper.ts'

const browser = await openBrowser(t)

t.test('a newcomer registers in Swagger UI, clicks the link in the inbox, authorizes and reads the profile', { skip: browser === undefined && 'not run (Chromium is missing)' }, async t => {
  const site = await startSite(t)
  const context = await newContext(t, browser!)
  const docs = await context.newPage()
  const operation = (method: string, path: string) => docs.locator(`.opblock-${method}:has([data-path="${path}"])`)
  const register = operation('post', '/v2/users')
  const profile = operation('get', '/v2/users/me')

  await docs.goto(`${site.url}/docs`)
  await docs.getByRole('heading', { name: 'User service, version 2' }).waitFor()
  const selector = docs.locator('#select')
  t.same(await selector.locator('option').allTextContents(), ['Version 2', 'Version 1 (deprecated)'])

  await register.locator('.opblock-summary-control').click()
  await register.locator('textarea.body-param__text').fill(JSON.stringify({ email: 'ada@example.com', name: 'Ada <i>Lovelace</i>' }))
  await register.getByRole('button', { name: 'Execute' }).click()
  t.equal((await register.locator('.live-responses-table tbody .response-col_status').first().textContent())?.trim(), '202')
  await picture(docs, 'swagger-registered')

  await mailTo(site, 'ada@example.com')
  const inbox = await context.newPage()
  await inbox.goto(site.inbox)
  await inbox.getByTestId('email-list-item').first().click()
  const link = inbox.frameLocator('iframe[title="Email HTML content"]').getByRole('link', { name: /confirm/i })
  await link.waitFor()
  await picture(inbox, 'inbox')
  const [verify] = await Promise.all([context.waitForEvent('page'), link.click()])

  const exchanges: string[] = []
  verify.on('request', request => { if (request.url().includes('/auth/tokens')) exchanges.push(request.method()) })
  await verify.getByRole('heading', { name: 'Confirm your address' }).waitFor()
  t.equal(verify.url(), `${site.url}/verify`, 'challenge and code are gone from the address')
  t.same(exchanges, [], 'opening the link uses nothing up')
  await picture(verify, 'verify')
  await verify.getByRole('button', { name: 'Confirm and sign in' }).click()
  await verify.getByRole('heading', { name: 'You are signed in' }).waitFor()
  t.match(await verify.locator('#done').textContent(), 'Your address is confirmed, Ada <i>Lovelace</i>.', 'a name is text, whatever it holds')
  t.match(await verify.locator('#done').textContent(), 'valid for 10 minutes')
  t.same(exchanges, ['POST'])
  const token = await verify.getByLabel('Access token').inputValue()
  await picture(verify, 'verified')
  t.same(await verify.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'), [0, 0, ''], 'the page keeps nothing')
  await verify.getByRole('link', { name: 'Swagger UI' }).waitFor()

  await docs.bringToFront()
  await docs.getByRole('button', { name: 'Authorize' }).first().click()
  await docs.locator('.modal-ux input').fill(token)
  await picture(docs, 'swagger-authorize')
  await docs.locator('.modal-ux').getByRole('button', { name: 'Apply credentials' }).click()
  await docs.locator('.modal-ux').getByRole('button', { name: 'Close' }).first().click()
  const readProfile = async () => {
    await profile.getByRole('button', { name: 'Execute' }).click()
    const answer = profile.locator('.live-responses-table')
    t.equal((await answer.locator('tbody .response-col_status').first().textContent())?.trim(), '200')
    t.match(await answer.locator('tbody .response-col_description').first().textContent(), /"email": "ada@example\.com"[\s\S]*"status": "ACTIVE"/)
  }
  await profile.locator('.opblock-summary-control').click()
  await readProfile()
  await picture(docs, 'swagger-profile')

  await docs.reload() // the operation is still unfolded, and the person still authorized
  await readProfile()
  await selector.selectOption('Version 1 (deprecated)')
  await docs.getByRole('heading', { name: 'User service, version 1' }).waitFor()
  await picture(docs, 'swagger-v1')
  t.same(context.complaints, [])
})
