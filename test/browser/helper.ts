import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { startInbox } from '../../local/inbox.ts'
import { freePort } from '../../local/ports.ts'
import { CHROMIUM } from '../../scripts/chromium.ts'
import { buildTestApp, type TestApp } from '../app.ts'
import { startEngines, type Engines } from '../engines.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

/** Debian's Chromium; `undefined` where there is none, which is a failure in CI. */
export async function openBrowser (t: Test, args: string[] = []): Promise<Browser | undefined> {
  if (!existsSync(CHROMIUM)) {
    if (process.env['CI'] === 'true') throw new Error(`${CHROMIUM} is missing`)
    return undefined
  }
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--no-first-run', ...args]
  })
  t.teardown(() => browser.close())
  return browser
}

export interface Site {
  app: TestApp
  engines: Engines
  /** where the service listens */
  url: string
  /** where the inbox can be read */
  inbox: string
}

/** The whole system as a user meets it: the service listens, what AWS does behind it goes on by itself, mails come to an inbox. */
export async function startSite (t: Test, env: Record<string, string> = {}): Promise<Site> {
  const engines = await startEngines(t)
  const [port, smtpPort, webPort] = [await freePort(), await freePort(), await freePort()]
  const mailDirectory = await mkdtemp(join(tmpdir(), 'inbox-'))
  const inbox = await startInbox({ smtpPort, webPort, mailDirectory })
  t.teardown(async () => {
    await inbox.stop()
    await rm(mailDirectory, { recursive: true, force: true })
  })
  const url = `http://localhost:${port}`
  const app = await buildTestApp(t, engines, { env: { ...env, PUBLIC_URL: url, SMTP_URL: inbox.smtpUrl } })
  await app.listen({ port, host: 'localhost' })

  let stopped = false
  const pumping = (async () => {
    while (!stopped) {
      await pump(app, engines).catch(() => {}) // an engine that a test has stopped: what is left goes on once it is back
      await sleep(50)
    }
  })()
  t.teardown(async () => {
    stopped = true
    await pumping
  })
  return { app, engines, url, inbox: inbox.url }
}

export interface Mail { id: string, subject: string, text: string }

/** The newest mail to an address, once there are as many as expected. */
export async function mailTo (site: Site, email: string, count = 1): Promise<Mail> {
  return await until(async () => {
    const mails = await (await fetch(`${site.inbox}/api/email`)).json() as (Mail & { time: string, to: { address: string }[] })[]
    const found = mails.filter(({ to }) => to.some(({ address }) => address === email))
    return found.length >= count ? found.sort((a, b) => a.time.localeCompare(b.time)).at(-1) : undefined
  })
}

/** The link of a mail to the verify page. */
export const linkIn = ({ text }: Mail): string => /http\S+\/verify#\S+/.exec(text)![0]

/** A browser of its own, with nothing remembered; `complaints` are broken scripts, and everything a page's own policy stopped. */
export async function newContext (t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext & { complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  t.teardown(() => context.close())
  // How long a step may take on a busy machine, where Swagger UI needs seconds for one. What fails fails by what the page shows.
  context.setDefaultTimeout(60_000)
  const complaints: string[] = []
  context.on('weberror', error => { complaints.push(error.error().message) })
  context.on('console', message => { if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text()) })
  return Object.assign(context, { complaints })
}

/** Keeps a picture of a page where `SCREENSHOTS` says, for a look at it. */
export async function picture (page: Page, name: string): Promise<void> {
  const directory = process.env['SCREENSHOTS']
  if (directory !== undefined) await page.screenshot({ path: join(directory, `${name}.png`) })
}
