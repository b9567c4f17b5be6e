import { textOn, visibleOn } from '../../../shared/colour.ts'
import { DEFAULT_LOCALE, directionOf, lookupTags, nearestLocale } from '../../../shared/locale.ts'
import type { EmailType } from '../schemas.ts'
import { isolate } from './bidi.ts'
import { readTemplates } from './files.ts'
import { greetingName, quotedName } from './names.ts'
import { wording } from './wording.ts'

/** How mails look and what they link to. */
export interface Brand {
  /** the name of the service in mails */
  brand: string
  /** of buttons, #rrggbb */
  colour?: string | undefined
  /** an image that stands for the name at the top of a mail */
  logoUrl?: string | undefined
  /** the contact address for readers */
  contact: string
  /** the page that links open */
  verifyUrl: string
}

export interface MailContent {
  type: EmailType
  name: string
  /** the reader's language, BCP 47 */
  locale?: string | undefined
  /** the name of the user who invited the reader */
  invitedBy?: string | undefined
  /** `undefined` in a mail without a code */
  challenge: { challengeId: string, code: string } | undefined
  /** ISO 8601: when the code expires */
  expiresAt?: string | undefined
  /** the code expired before it could be sent; the mail explains how to request a new one */
  isExpired?: boolean
}

export interface RenderedMail {
  /** display name of the recipient; empty where it must not be shown */
  toName: string
  subject: string
  text: string
  html: string
}

export type Render = (mail: MailContent) => RenderedMail

const DEFAULT_COLOUR = '#1f4fd8'
/** The background of a mail's text in both schemes, see layout.html. */
const CARD = '#ffffff'
const DARK_CARD = '#182032'

/**
 * Mails that only the owner of a confirmed address gets. They greet by name. Other mails may only quote the name, so that
 * a caller who enters a stranger's address cannot write text into that stranger's mail.
 */
const PROVED: ReadonlySet<EmailType> = new Set(['SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGED_NOTICE'])

/** What the page behind the link does, where it does something else than to confirm an address for a sign-in. */
const ACTIONS: Partial<Record<EmailType, string>> = { EMAIL_CHANGE_CODE: 'change', EMAIL_CHANGED_NOTICE: 'undo' }

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, c => ENTITIES[c]!)

function coloursOf (colour = DEFAULT_COLOUR) {
  const dark = visibleOn(colour, DARK_CARD, 3)
  return { accent: colour, onAccent: textOn(colour), accentLine: visibleOn(colour, CARD, 3), accentDark: dark, onAccentDark: textOn(dark) }
}

/** A moment in the reader's language. In UTC, because the reader's time zone is not known. */
function momentIn (language: string, locale: string, date: Date): string {
  // The region decides about the form of a date, the language about its words; other calendars would surprise most readers.
  const tag = lookupTags(locale).find(known => known.split('-')[0] === language.split('-')[0]) ?? language
  return new Intl.DateTimeFormat(tag, { calendar: 'gregory', year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZone: 'UTC', timeZoneName: 'short' }).format(date)
}

/** Reads the templates, and returns what makes mails of them. The code is eight digits without spaces, so that readers and programs can copy it. */
export async function createRenderer ({ directory, brand, colour, logoUrl, contact, verifyUrl }: Brand & { directory?: string | undefined }): Promise<Render> {
  const { catalogues, html, text } = await readTemplates(directory)
  const colours = coloursOf(colour)

  return function renderMail ({ type, name, locale = DEFAULT_LOCALE, invitedBy, challenge, expiresAt, isExpired = false }) {
    const language = nearestLocale([locale], catalogues)
    const dir = directionOf(language)
    const isProved = PROVED.has(type)
    const isNotice = type === 'EMAIL_CHANGED_NOTICE'
    // A notice without its link is still worth reading, so it does not turn into the mail about an expired code.
    const usable = isExpired ? undefined : challenge
    const canUndo = isNotice && usable !== undefined
    const shownName = isProved ? greetingName(name) : quotedName(name)
    // The reader has not confirmed the address, so the same rule applies to the name of the inviter.
    const inviter = type === 'WELCOME_EMAIL' && invitedBy !== undefined ? quotedName(invitedBy) : undefined

    const words = wording({ type, name: shownName, inviter, isExpired, canUndo, hasEnd: expiresAt !== undefined }, catalogues.get(language)!, {
      brand: isolate(brand, dir),
      contact: isolate(contact, dir),
      name: isolate(shownName, dir),
      inviter: isolate(inviter ?? '', dir),
      until: expiresAt === undefined ? '' : momentIn(language, locale, new Date(expiresAt))
    })
    // In the fragment: browsers do not send it, so the code appears in no log, and scanners and previews that only fetch
    // links cannot use it up.
    const fragment = usable === undefined ? '' : `#${new URLSearchParams({ ...usable, ...(ACTIONS[type] === undefined ? {} : { action: ACTIONS[type] }) })}`
    const shown = {
      ...words,
      lang: language,
      dir,
      start: dir === 'ltr' ? 'left' : 'right',
      brand,
      logo: logoUrl,
      // The code that undoes a change is for the link alone.
      code: isNotice ? undefined : usable?.code,
      link: words.button === undefined ? undefined : verifyUrl + fragment,
      ...colours
    }
    return { toName: isProved ? shownName : '', subject: words.subject, text: text.fill({ ...shown, lead: words.leadInText }), html: html.fill(shown, escapeHtml) }
  }
}
