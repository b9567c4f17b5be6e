import t from 'tap'
import { axeFindings } from './axe.ts'
import { mailTo, newContext, openBrowser, picture, startSite } from './helper.ts'

const browser = await openBrowser(t)

t.test('a new user registers in Swagger UI, opens the link in the inbox, exchanges the code that it shows, authorizes and reads the profile', { skip: browser === undefined && 'not run (Chromium is missing)' }, async t => {
  const site = await startSite(t)
  const context = await newContext(t, browser!)
  const docs = await context.newPage()
  const operation = (method: string, path: string) => docs.locator(`.opblock-${method}:has([data-path="${path}"])`)
  const register = operation('post', '/v2/users')
  const exchange = operation('post', '/v2/auth/tokens')
  const profile = operation('get', '/v2/users/me')
  /** Executes an operation that is unfolded, and returns the body of its answer. */
  const execute = async (of: ReturnType<typeof operation>, status: string) => {
    await of.getByRole('button', { name: 'Execute' }).click()
    const answer = of.locator('.live-responses-table')
    t.equal((await answer.locator('tbody .response-col_status').first().textContent())?.trim(), status)
    // A file, or nothing, is not shown.
    const body = answer.locator('tbody .response-col_description code').first()
    return await body.count() > 0 ? await body.textContent() ?? '' : ''
  }

  await docs.goto(`${site.url}/docs`)
  await docs.getByRole('heading', { name: 'User service, version 2' }).waitFor()
  t.same(await axeFindings(docs, '#swagger-ui'), [], 'nothing is wrong with the page around Swagger UI, which is not ours')
  const selector = docs.locator('#select')
  t.same(await selector.locator('option').allTextContents(), ['Version 2', 'Version 1 (deprecated)'])

  await register.locator('.opblock-summary-control').click()
  await register.locator('textarea.body-param__text').fill(JSON.stringify({ email: 'ada@example.com', name: 'Ada <i>Lovelace</i>' }))
  const { challengeId } = JSON.parse(await execute(register, '202')) as { challengeId: string }
  await picture(docs, 'swagger-registered')

  await mailTo(site, 'ada@example.com')
  const inbox = await context.newPage()
  await inbox.goto(site.inbox)
  await inbox.getByTestId('email-list-item').first().click()
  const link = inbox.frameLocator('iframe[title="Email HTML content"]').getByRole('link', { name: /confirm/i })
  await link.waitFor()
  await picture(inbox, 'inbox')
  const [verify] = await Promise.all([context.waitForEvent('page'), link.click()])

  const calls: string[] = []
  verify.on('request', request => { if (request.method() !== 'GET') calls.push(new URL(request.url()).pathname) })
  await verify.getByRole('heading', { name: 'Confirm it’s you' }).waitFor()
  t.equal(verify.url(), `${site.url}/verify`, 'challenge and code are gone from the address')
  await picture(verify, 'verify')
  await verify.getByRole('button', { name: 'Confirm' }).click()
  await verify.getByRole('heading', { name: 'Confirmed' }).waitFor()
  t.same(calls, ['/v2/auth/verify'], 'one press, one call, and no session')
  const code = await verify.locator('#code-shown .digits').textContent()
  await picture(verify, 'verified')
  t.same(await axeFindings(verify), [])

  await docs.bringToFront()
  await exchange.locator('.opblock-summary-control').click()
  await exchange.locator('textarea.body-param__text').fill(JSON.stringify({ grantType: 'code', challengeId, code }))
  const { accessToken, refreshToken } = JSON.parse(await execute(exchange, '200')) as { accessToken: string, refreshToken: string }
  await picture(docs, 'swagger-signed-in')
  const authorize = async (token: string) => {
    await docs.getByRole('button', { name: 'Authorize' }).first().click()
    const dialog = docs.locator('.modal-ux')
    const logout = dialog.getByRole('button', { name: 'Remove authorization' })
    if (await logout.count() > 0) await logout.click()
    await dialog.locator('input').fill(token)
    await picture(docs, 'swagger-authorize')
    await dialog.getByRole('button', { name: 'Apply credentials' }).click()
    await dialog.getByRole('button', { name: 'Close' }).first().click()
  }
  await authorize(accessToken)
  const readProfile = async () => {
    t.match(JSON.parse(await execute(profile, '200')), { email: 'ada@example.com', name: 'Ada <i>Lovelace</i>', status: 'ACTIVE' })
  }
  await profile.locator('.opblock-summary-control').click()
  await readProfile()
  await picture(docs, 'swagger-profile')

  await docs.reload() // the operation is still unfolded, and the user still authorized
  await readProfile()

  /** Unfolds an operation if it is folded, fills in its body and executes it. */
  const run = async (method: string, path: string, status: string, body?: object) => {
    const of = operation(method, path)
    if (await of.locator('.opblock-body').count() === 0) await of.locator('.opblock-summary-control').click()
    if (body !== undefined) await of.locator('textarea.body-param__text').fill(JSON.stringify(body))
    const answer = await execute(of, status)
    return answer.startsWith('{') ? JSON.parse(answer) as Record<string, string> : {}
  }
  t.match(await run('patch', '/v2/users/me', '200', { name: 'Ada King' }), { name: 'Ada King' })
  const change = await run('post', '/v2/users/me/email', '202', { email: 'countess@example.com' })
  await run('post', '/v2/auth/verify', '204', { challengeId: change['challengeId'], code: /\b\d{8}\b/.exec((await mailTo(site, 'countess@example.com')).text)![0] })
  const refreshed = await run('post', '/v2/auth/tokens', '200', { grantType: 'refresh_token', refreshToken })
  await authorize(refreshed['accessToken']!)
  t.match(await run('get', '/v2/users/me', '200'), { name: 'Ada King', email: 'countess@example.com' })
  t.match(await run('post', '/v2/users/me/avatar', '201', { contentType: 'image/png', size: 70 }), { url: /^http/ })
  t.match(await run('get', '/v2/users/me/sessions', '200'), { items: [{ current: true }] })
  await run('get', '/v2/users/me/export', '200')
  await operation('get', '/v2/users/me/export').getByText('Download file').waitFor()
  await run('delete', '/v2/users/me', '204')
  await run('get', '/v2/users/me', '401')

  await selector.selectOption('Version 1 (deprecated)')
  await docs.getByRole('heading', { name: 'User service, version 1' }).waitFor()
  await picture(docs, 'swagger-v1')
  t.same(context.complaints, [])
})
