import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BrowserContext, Page } from 'playwright-core'
import { startApp } from '../local/app.ts'
import { planSystem } from '../local/plan.ts'
import { freePort } from '../local/ports.ts'
import { startSystem } from '../local/system.ts'
import { openChromium } from './chromium.ts'
import { readOptions } from './options.ts'

const HELP = `npm run pictures: takes the pictures of the documents again, in Chromium, of a system of its own.

It starts what npm start starts, and examples/web, on free ports and with new data, registers a user there and follows the
mail. The pictures are written to docs/pictures. Look at them before you commit them.

  --to DIR  another target
`

/** Bytes that a picture may have: the README shows several at once. */
export const MAX_BYTES = 100_000

/** In docs/pictures. */
export const PICTURES = ['inbox.webp', 'swagger-ui.webp', 'verify.webp', 'web.webp'] as const

const SIZE = { width: 1000, height: 750 }
/** of pages with a small form */
const SMALL = { width: 720, height: 540 }

// As the documents name them. Chromium leads them to the ports of this system.
const API = 'http://localhost:3000'
const INBOX = 'http://localhost:1080'
const WEB = 'http://localhost:5173'

/** Takes a picture as WebP, which Playwright itself does not write. */
async function takePicture (page: Page, directory: string, name: typeof PICTURES[number]): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 80 })
  const picture = Buffer.from(data, 'base64')
  if (picture.length > MAX_BYTES) throw new Error(`${name} has ${picture.length} bytes, and may have ${MAX_BYTES}`)
  writeFileSync(join(directory, name), picture)
  console.log(`${name}: ${Math.round(picture.length / 1000)} kB`)
}

/** Waits for something of the system, which takes a moment after a request. */
async function until<T> (find: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    const found = await find()
    if (found !== undefined) return found
    await sleep(100)
  }
  throw new Error('the system does not do what it should: nothing came within ten seconds')
}

/** The code in the mail with such a subject, once it is in the inbox at this port. */
async function codeIn (inboxPort: number, subject: RegExp): Promise<string> {
  return await until(async () => {
    const mails = await (await fetch(`http://127.0.0.1:${inboxPort}/api/email`)).json() as { subject: string, text: string }[]
    return /\b\d{8}\b/.exec(mails.find(mail => subject.test(mail.subject))?.text ?? '')?.[0]
  })
}

async function takeAll (context: BrowserContext, directory: string, inboxPort: number): Promise<void> {
  const docs = await context.newPage()
  await docs.goto(`${API}/docs`)
  await docs.locator('.opblock-summary').first().waitFor()
  await docs.evaluate('document.querySelector(".scheme-container").scrollIntoView()')
  await takePicture(docs, directory, 'swagger-ui.webp')

  await docs.evaluate(([url, body]) => fetch(url!, { method: 'POST', headers: { 'content-type': 'application/json' }, body: body! }).then(answer => answer.text()), [`${API}/v2/users`, JSON.stringify({ email: 'ada@example.com', name: 'Ada Lovelace', locale: 'en' })] as const)
  await codeIn(inboxPort, /Confirm/)
  const inbox = await context.newPage()
  await inbox.goto(INBOX)
  await inbox.getByTestId('email-list-item').first().click()
  const link = inbox.frameLocator('iframe[title="Email HTML content"]').getByRole('link', { name: 'Confirm' })
  await link.waitFor()
  await takePicture(inbox, directory, 'inbox.webp')

  const verify = await context.newPage()
  await verify.setViewportSize(SMALL)
  await verify.goto(await link.getAttribute('href') ?? '')
  await verify.getByRole('button', { name: 'Confirm' }).click()
  await verify.getByRole('heading', { name: 'Confirmed' }).waitFor()
  await takePicture(verify, directory, 'verify.webp')

  const web = await context.newPage()
  await web.setViewportSize({ width: 720, height: 1000 })
  await web.goto(WEB)
  await web.getByLabel('E-mail address').first().fill('ada@example.com')
  await web.getByRole('button', { name: 'Send the code' }).click()
  await web.getByLabel('Code of 8 digits').fill(await codeIn(inboxPort, /sign/i))
  await web.getByRole('button', { name: 'Sign in', exact: true }).click()
  await web.getByText('You are signed in.').waitFor()
  await takePicture(web, directory, 'web.webp')
}

async function main (): Promise<void> {
  const { to = 'docs/pictures' } = readOptions(HELP, { to: { type: 'string' } }) as { to?: string }
  const directory = resolve(to)
  mkdirSync(directory, { recursive: true })
  const dataDir = mkdtempSync(join(tmpdir(), 'user-service-pictures-'))
  const plan = await planSystem({ ...process.env, PORT: '0', INBOX_PORT: '0', LOCAL_DATA_DIR: dataDir, PUBLIC_URL: API, CORS_ORIGIN: WEB })
  const system = await startSystem(plan, startApp)
  const port = await freePort()
  const web = spawn(process.execPath, ['examples/web/serve.ts'], { env: { ...process.env, PORT: String(port), API_URL: API }, stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await until(() => fetch(`http://localhost:${port}`).then(answer => answer.ok || undefined, () => undefined))
    const ports = Object.entries({ [API]: plan.ports.api, [INBOX]: plan.ports.inbox, [WEB]: port })
    const browser = await openChromium([`--host-resolver-rules=${ports.map(([url, port]) => `MAP ${new URL(url).host} 127.0.0.1:${port}`).join(', ')}`])
    try {
      await takeAll(await browser.newContext({ viewport: SIZE, colorScheme: 'light', locale: 'en' }), directory, plan.ports.inbox)
    } finally {
      await browser.close()
    }
  } finally {
    web.kill()
    await system.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  await main().catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
