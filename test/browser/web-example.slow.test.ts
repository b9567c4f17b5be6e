import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { freePort } from '../../local/ports.ts'
import { documents } from '../docs/documents.ts'
import { until } from '../until.ts'
import { mailsIn, newDir, ROOT, start } from '../local/running.ts'
import { png } from '../modules/uploads/pictures.ts'
import { axeFindings } from './axe.ts'
import { newContext, openBrowser, picture } from './helper.ts'

// examples/web, as its README runs it: the service by npm start, the page on an origin of its own, and a user in Chromium.

const browser = await openBrowser(t)
const skip = browser === undefined && 'not run (Chromium is missing)'

const readme = documents.find(({ path }) => path === 'examples/web/README.md')!
const commands = readme.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim())

/** The variables before a command, such as `A=b C=d npm start`. */
const variablesOf = (command: string) => Object.fromEntries([...command.matchAll(/(?:^| )([A-Z_]+)=(\S+)/g)].map(([, name, value]) => [name!, value!]))

/** The README's two commands, at other ports. */
async function startExample (t: Test) {
  const port = await freePort()
  const env = Object.fromEntries(Object.entries(variablesOf(commands[0]!)).map(([name, value]) => [name, value.replace('5173', String(port))]))
  const system = await start(t, newDir(t), { ...env, RATE_LIMIT_MAX: '100000' })
  const page = spawn('sh', ['-c', `exec ${commands[1]!}`], { cwd: ROOT, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: String(port), API_URL: system.api }, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  t.teardown(() => { process.kill(-page.pid!, 'SIGINT') }) // Ctrl-C
  for await (const line of createInterface(page.stdout)) if (line.includes('Ctrl-C')) break
  return { ...system, url: `http://localhost:${port}` }
}

t.test('the README’s commands are those that are run here', async t => {
  t.same(commands.map(command => command.replace(/^(?:[A-Z_]+=\S+ )+/, '')), ['npm start', 'npm exec -- node examples/web/serve.ts', 'npm exec -- node examples/web/serve.ts --to dist/web'])
  t.match(variablesOf(commands[0]!), { CORS_ORIGIN: 'http://localhost:5173', VERIFY_URL: 'http://localhost:5173/' })
})

t.test('the files for a host know where the service is, and come with the headers to send', async t => {
  const dir = newDir(t)
  const output = execFileSync('sh', ['-c', commands[2]!.replace('dist/web', dir)], { cwd: ROOT, encoding: 'utf8' })
  t.same(readdirSync(dir).sort(), ['app.js', 'index.html', 'style.css'])
  t.match(readFileSync(join(dir, 'app.js'), 'utf8'), '"https://api.example.com"')
  t.match(output, /^content-security-policy: default-src 'none'; script-src 'self'; .*connect-src https:\/\/api\.example\.com https:\/\/bucket\.s3\./m)
})

t.test('in a browser', { skip, timeout: 600_000 }, async t => {
  const { url, api, inbox } = await startExample(t)

  /** The link of the newest mail to an address, once there are as many as expected. */
  const linkTo = (email: string, count = 1) => until(async () => {
    const mails = (await mailsIn(inbox)).filter(({ to }) => to.some(({ address }) => address === email))
    const links = mails.map(({ text = '' }) => /http\S+#challengeId=\S+/.exec(text)?.[0])
    return mails.length >= count ? links.at(-1) : undefined
  })
  const codeIn = (link: string) => new URLSearchParams(new URL(link).hash.slice(1)).get('code')!
  const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true }).waitFor()
  const status = (page: Page, text: string | RegExp) => page.locator('#status').filter({ hasText: text }).waitFor()
  const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
  const reads = (page: Page, selector: string) => page.evaluate(`document.querySelector('${selector}').textContent`)
  const focused = (page: Page) => page.evaluate('document.activeElement.id || document.activeElement.tagName')
  /** Looks at the page: it has no fault of accessibility, and fits. */
  async function look (t: Test, page: Page, name: string) {
    await picture(page, `web-${name}`)
    t.same(await axeFindings(page), [], name)
    t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${name} fits`)
  }

  async function register (page: Page, email: string, name = 'Ada Lovelace') {
    await page.goto(url)
    await press(page, 'Create an account')
    await page.getByLabel('Your name').first().fill(name)
    await page.locator('#new-email').fill(email)
    await press(page, 'Create the account')
    await heading(page, 'Check your inbox')
  }
  async function registered (page: Page, email: string) {
    await register(page, email)
    await page.getByLabel('Code of 8 digits').fill(codeIn(await linkTo(email)))
    await press(page, 'Sign in')
    await heading(page, 'Your account')
  }
  const refreshes = (context: BrowserContext) => {
    const seen: string[] = []
    context.on('request', request => { if (request.method() === 'POST' && request.url() === `${api}/v2/auth/tokens`) seen.push(request.postData() ?? '') })
    return seen
  }
  /** Makes the access token one that has expired, on this device's clock. */
  const expire = (page: Page) => page.evaluate('localStorage.setItem("example-app.tokens", JSON.stringify({ ...JSON.parse(localStorage.getItem("example-app.tokens")), expiresAt: 0 }))')

  await t.test('a user registers, types the code, renames herself, uploads a picture, reloads and signs out', async t => {
    const context = await newContext(t, browser!)
    const page = await context.newPage()
    await page.goto(url)
    await heading(page, 'Sign in')
    await look(t, page, 'sign-in')
    await register(page, 'ada@example.com')
    t.equal(await focused(page), 'H1', 'a screen reader says where the user is')
    await look(t, page, 'enter-code')
    await page.reload()
    await heading(page, 'Check your inbox')
    t.match(await reads(page, '#enter-code'), 'If ada@example.com can sign in', 'a reload still waits')

    const field = page.getByLabel('Code of 8 digits')
    await field.fill('0000 0000')
    await press(page, 'Sign in')
    await page.getByRole('alert').filter({ hasText: 'This code is wrong or has expired' }).waitFor()
    t.equal(await focused(page), 'code', 'the field can be corrected at once')
    t.equal(await field.getAttribute('aria-invalid'), 'true')
    await look(t, page, 'wrong-code')
    const code = codeIn(await linkTo('ada@example.com'))
    await field.fill(`${code.slice(0, 4)} ${code.slice(4)}`)
    await press(page, 'Sign in')
    await heading(page, 'Your account')
    t.match(await reads(page, '#account .card'), /Ada Lovelace\s*ada@example\.com/)
    await look(t, page, 'account')

    await page.locator('#name').fill('  ')
    await press(page, 'Save')
    await page.locator('#rename-error').filter({ hasText: 'A name has 2 to 100 characters' }).waitFor()
    t.equal(await focused(page), 'name')
    await page.locator('#name').fill('Ada <b>King</b>')
    await press(page, 'Save')
    await status(page, 'Your name is saved.')
    t.match(await reads(page, '#account .card'), /^\s*A?\s*Ada <b>King<\/b>/, 'as text')

    await page.getByLabel(/^Your picture/).setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: png() })
    await press(page, 'Upload')
    await status(page, 'Your picture is saved.')
    await until(() => page.evaluate('document.querySelector("#avatar").naturalWidth === 1'))
    await look(t, page, 'picture')

    await page.reload()
    await heading(page, 'Your account')
    t.equal(await page.locator('#name').inputValue(), 'Ada <b>King</b>')
    await press(page, 'Sign out')
    await heading(page, 'Sign in')
    await status(page, 'You are signed out.')
    t.equal(await page.evaluate('localStorage.length + sessionStorage.length'), 0, 'nothing is left')
    t.same(context.complaints, [])
  })

  await t.test('the link of the mail opens the page, and signs in the tab that waits too, once a button is pressed', async t => {
    const context = await newContext(t, browser!)
    const waiting = await context.newPage()
    await register(waiting, 'grace@example.com', 'Grace Hopper')
    const link = await linkTo('grace@example.com')
    t.ok(link.startsWith(`${url}/#challengeId=`), 'VERIFY_URL')
    const opened = await context.newPage()
    const calls: string[] = []
    opened.on('request', request => { if (request.url().startsWith(api)) calls.push(request.method()) })
    await opened.goto(link)
    await heading(opened, 'Sign in')
    t.equal(opened.url(), `${url}/`, 'challenge and code are gone from the address')
    t.same(calls, [], 'nothing is sent before a press: programs that scan mails open links')
    await look(t, opened, 'link')
    await opened.locator('#link').getByRole('button', { name: 'Sign in' }).click()
    await heading(opened, 'Your account')
    await heading(waiting, 'Your account')
    await press(opened, 'Sign out')
    await heading(waiting, 'Sign in')
    t.same(context.complaints, [])
  })

  await t.test('on another device the link shows the code, which signs in where the user waits', async t => {
    const laptop = await newContext(t, browser!)
    const waiting = await laptop.newPage()
    await register(waiting, 'lin@example.com', 'Lin Clark')
    const phone = await newContext(t, browser!, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' })
    const mail = await phone.newPage()
    await mail.goto(await linkTo('lin@example.com'))
    await look(t, mail, 'link-dark')
    await press(mail, 'Show the code for another device')
    await heading(mail, 'Confirmed')
    await look(t, mail, 'code-shown-dark')
    await waiting.getByLabel('Code of 8 digits').fill(String(await reads(mail, '#code-shown .digits')))
    await press(waiting, 'Sign in')
    await heading(waiting, 'Your account')
    t.equal(await mail.evaluate('localStorage.length'), 0, 'and no session is on the phone')
  })

  await t.test('calls and tabs that find an expired token share one refresh', async t => {
    const context = await newContext(t, browser!)
    const [first, second] = [await context.newPage(), await context.newPage()]
    await registered(first, 'once@example.com')
    await second.goto(url)
    await heading(second, 'Your account')
    const seen = refreshes(context)
    await expire(first)
    await first.reload()
    await heading(first, 'Your account')
    t.equal(seen.length, 1, 'profile and sessions were read with one')
    await expire(first)
    const holder = await context.newPage()
    await holder.goto(`${url}/style.css`)
    await holder.evaluate('new Promise(locked => { navigator.locks.request("example-app.tokens", () => new Promise(resolve => { globalThis.release = resolve; locked() })) })')
    await Promise.all([first, second].map(page => page.reload()))
    await until(() => holder.evaluate('navigator.locks.query().then(({ pending }) => pending.length === 2)'))
    t.equal(seen.length, 1, 'each tab waits for the other')
    await holder.evaluate('release()')
    await Promise.all([first, second].map(page => heading(page, 'Your account')))
    // Chromium may give a tab the lock before it shows the tab what the other one has stored. The service answers the second
    // refresh as it answered the first.
    t.ok(seen.length === 2 || seen.length === 3, `and the second tab finds what the first one got (${seen.length - 1} were sent)`)
    t.equal(new Set(seen.slice(1)).size, 1)
    for (const body of seen) t.match(body, '"grantType":"refresh_token"')
  })

  await t.test('a user ends another session, signs out everywhere, and learns that a session has ended', async t => {
    const here = await newContext(t, browser!)
    const page = await here.newPage()
    await registered(page, 'many@example.com')
    const there = await newContext(t, browser!, { colorScheme: 'dark', viewport: { width: 360, height: 740 } })
    const other = await there.newPage()
    const signIn = async (count: number) => {
      await other.goto(url)
      await other.locator('#email').fill('many@example.com')
      await press(other, 'Send the code')
      await heading(other, 'Check your inbox')
      await other.getByLabel('Code of 8 digits').fill(codeIn(await linkTo('many@example.com', count)))
      await press(other, 'Sign in')
      await heading(other, 'Your account')
    }
    await signIn(2)
    await look(t, other, 'account-dark')
    await page.reload()
    await page.getByRole('button', { name: /^End the session of / }).click()
    await status(page, 'The session has ended.')
    t.equal(await page.locator('#sessions li').count(), 1)
    await expire(other)
    await other.reload()
    await heading(other, 'Sign in')
    await status(other, 'Your session has ended. Sign in again.')
    await look(t, other, 'ended-dark')

    await signIn(3)
    await press(page, 'Sign out everywhere')
    await status(page, 'You are signed out everywhere.')
    await other.reload()
    await heading(other, 'Sign in')
    t.same([...here.complaints, ...there.complaints], [])
  })

  await t.test('links that confirm and undo a change of address work, and a link that has been used says so', async t => {
    const context = await newContext(t, browser!)
    const page = await context.newPage()
    await registered(page, 'before@example.com')
    const { accessToken } = JSON.parse(await page.evaluate<string>('localStorage.getItem("example-app.tokens")')) as { accessToken: string }
    await fetch(`${api}/v2/users/me/email`, { method: 'POST', headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' }, body: JSON.stringify({ email: 'after@example.com' }) })
    const link = await linkTo('after@example.com')
    await page.goto(link)
    await heading(page, 'Confirm your new address')
    t.notOk(await page.getByRole('button', { name: /Show the code/ }).isVisible())
    await press(page, 'Confirm')
    await heading(page, 'Your address has been changed')
    await look(t, page, 'changed')
    await press(page, 'Continue')
    await heading(page, 'Your account')
    t.match(await reads(page, '#account .card'), 'after@example.com')

    await page.goto(await linkTo('before@example.com', 2))
    await heading(page, 'Undo the change of your address')
    await press(page, 'Undo the change')
    await heading(page, 'The change has been undone')
    await press(page, 'Continue')
    await heading(page, 'Sign in')

    await page.goto(link)
    await press(page, 'Confirm')
    await page.getByRole('alert').filter({ hasText: /wrong or has expired/ }).waitFor()
    await look(t, page, 'used-link')
    t.same(context.complaints, [])
  })

  await t.test('without the service, with a wrong address, and with too many codes, the page says what to do', async t => {
    const context = await newContext(t, browser!)
    const page = await context.newPage()
    await page.goto(url)
    const answer = { status: 0, headers: {} as Record<string, string>, body: '' }
    await page.route(`${api}/v2/auth/challenges`, async route => answer.status === 0 ? await route.abort() : await route.fulfill({ ...answer, headers: { ...answer.headers, 'access-control-allow-origin': url, 'access-control-expose-headers': 'retry-after', 'content-type': 'application/problem+json' } }))
    for (const [status, code, text] of [
      [0, '', 'The service cannot be reached. Check your connection and try again.'],
      [503, 'UNAVAILABLE', 'The service is not available at the moment. Try again in a minute.'],
      [429, 'AUTH_CODES_EXHAUSTED', 'Too many codes were sent to this address. Use the newest one, or try again in 40 minutes.'],
      [418, 'TEAPOT', 'Something went wrong. If you report it, quote 0123.']
    ] as const) {
      Object.assign(answer, { status, headers: status === 429 ? { 'retry-after': '2400' } : {}, body: JSON.stringify({ code, correlationId: '0123' }) })
      await page.locator('#email').fill('ada@example.com')
      await press(page, 'Send the code')
      await page.locator('#sign-in-error').filter({ hasText: text }).waitFor()
      t.equal(await page.locator('#email').inputValue(), 'ada@example.com', 'what was typed is still there')
    }
    await page.unroute(`${api}/v2/auth/challenges`)
    await page.locator('#email').fill('ada@nowhere')
    await press(page, 'Send the code')
    await page.locator('#sign-in-error').filter({ hasText: 'This does not look like an e-mail address.' }).waitFor()
    t.equal(await focused(page), 'email')
    await look(t, page, 'wrong-address')
  })
})

t.test('axe finds what it should', { skip }, async t => {
  const page = await (await newContext(t, browser!)).newPage()
  await page.setContent('<html lang="en"><head><title>x</title></head><body><main><h1>x</h1><input><p style="color: #bbb; background: #fff">pale</p><button></button></main></body></html>')
  const found = (await axeFindings(page)).map(line => line.slice(0, line.indexOf(':')))
  t.same(found.sort(), ['button-name', 'color-contrast', 'label'])
  t.same(await axeFindings(page, 'main'), [], 'what is not ours can be left out')
})
