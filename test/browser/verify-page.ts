import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { axeFindings } from './axe.ts'
import { linkIn, mailTo, openBrowser, picture, startSite, type Site } from './helper.ts'

/** A browser with the site, and what a user does on `/verify`. `skip` says why the tests do not run. */
export async function openVerifyPage (t: Test) {
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

  return { browser, skip, site, post, register, exchange, codeOf, heading, confirm, send, address, status, shownCode, storage, look, fits }
}
