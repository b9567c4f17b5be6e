import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createRenderer, type MailContent } from '../src/modules/email/templates/index.ts'
import { ConfigError } from '../src/shared/config-error.ts'
import { openChromium } from './chromium.ts'
import { readOptions, refuse } from './options.ts'
import { endOnSignals } from './signals.ts'

const HELP = `npm run mails [-- options]: writes every mail in every language to .local/mails, with an index.html to look through.

  --languages en,ar      only these languages
  --pictures             also takes pictures, light and dark, 600 and 360 pixels wide (needs Chromium)
  --to DIR               another target

BRAND_NAME, BRAND_COLOR, BRAND_LOGO_URL and MAIL_TEMPLATES_DIR have the same effect as in the service.
`

const LANGUAGES = ['en', 'de', 'fr', 'es', 'pt', 'ja', 'ar']

const challenge = { challengeId: '0b8f6c1e-6a51-4c55-8d8e-5f1c9f0f7a42', code: '04815162' }
const expiresAt = '2026-12-03T14:05:00.000Z'

/** Every mail, with names as users of each language have them. */
function mailsIn (locale: string): Record<string, MailContent> {
  const name = ({ ja: '山田 太郎', ar: 'ليلى حداد' })[locale] ?? 'Ada Lovelace'
  const mail = { name, locale, challenge, expiresAt }
  return {
    welcome: { ...mail, type: 'WELCOME_EMAIL' },
    invitation: { ...mail, type: 'WELCOME_EMAIL', invitedBy: 'Grace Hopper' },
    'sign-in': { ...mail, type: 'SIGN_IN_CODE' },
    'account-exists': { ...mail, type: 'ACCOUNT_EXISTS' },
    change: { ...mail, type: 'EMAIL_CHANGE_CODE' },
    changed: { ...mail, type: 'EMAIL_CHANGED_NOTICE' },
    'changed-without-undo': { ...mail, type: 'EMAIL_CHANGED_NOTICE', challenge: undefined },
    'expired-code': { ...mail, type: 'SIGN_IN_CODE', isExpired: true },
    'expired-change': { ...mail, type: 'EMAIL_CHANGE_CODE', isExpired: true }
  }
}

async function takePictures (directory: string, names: string[]): Promise<void> {
  const browser = await openChromium()
  try {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [600, 360]) {
        const page = await browser.newPage({ colorScheme, viewport: { width, height: 400 } })
        for (const name of names) {
          await page.goto(`file://${join(directory, `${name}.html`)}`)
          await page.screenshot({ path: join(directory, `${name}-${colorScheme}-${width}.png`), fullPage: true })
        }
        await page.close()
      }
    }
  } finally {
    await browser.close()
  }
}

async function main () {
  const { languages, pictures, to = '.local/mails' } = readOptions(HELP, { languages: { type: 'string' }, pictures: { type: 'boolean' }, to: { type: 'string' } })
  endOnSignals()
  const wanted = languages?.split(',') ?? LANGUAGES
  const unknown = wanted.find(language => !LANGUAGES.includes(language))
  if (unknown !== undefined && process.env['MAIL_TEMPLATES_DIR'] === undefined) refuse(`There are no mails in '${unknown}'`, `expected some of ${LANGUAGES.join(',')}, or templates of your own in MAIL_TEMPLATES_DIR`)
  const { BRAND_NAME: brand = 'Acme', BRAND_COLOR: colour, BRAND_LOGO_URL: logoUrl, MAIL_TEMPLATES_DIR: templates } = process.env
  const render = await createRenderer({ directory: templates, brand, colour, logoUrl, contact: 'hello@example.com', verifyUrl: 'https://users.example.com/verify' })
  const directory = resolve(to)
  // Synchronous up to the pictures: a Ctrl-C leaves the mails of before, or all of the new ones.
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const names: string[] = []
  const rows: string[] = []
  for (const locale of wanted) {
    for (const [kind, mail] of Object.entries(mailsIn(locale))) {
      const name = `${locale}-${kind}`
      const { subject, html, text } = render(mail)
      writeFileSync(join(directory, `${name}.html`), html)
      writeFileSync(join(directory, `${name}.txt`), `Subject: ${subject}\n\n${text}`)
      names.push(name)
      rows.push(`<tr><td>${locale}<td>${kind}<td><a href="${name}.html">HTML</a><td><a href="${name}.txt">text</a>`)
    }
  }
  writeFileSync(join(directory, 'index.html'), `<!doctype html><meta charset="utf-8"><title>Mails</title><table>${rows.join('\n')}</table>\n`)
  if (pictures === true) await takePictures(directory, names)
  console.log(`${names.length} mails: ${join(directory, 'index.html')}`)
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = 1
})
