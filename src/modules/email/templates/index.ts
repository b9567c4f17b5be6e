import type { EmailType } from '../schemas.ts'
import { layout } from './layout.ts'
import { greetingName, quotedName } from './names.ts'
import { expiredWording, VALIDITY, wording, type Subject } from './wording.ts'

export interface MailContent extends Subject {
  type: EmailType
  /** the page that links open */
  verifyUrl: string
  /** `undefined` in a mail without a code */
  challenge: { challengeId: string, code: string } | undefined
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

/**
 * Mails that only the owner of a confirmed address gets. They greet by name. Other mails may only quote the name, so that
 * a caller who enters a stranger's address cannot write text into that stranger's mail.
 */
const PROVED: ReadonlySet<EmailType> = new Set(['SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGED_NOTICE'])

/** What the page behind the link does, where it does something else than to confirm an address for a sign-in. */
const ACTIONS: Partial<Record<EmailType, string>> = { EMAIL_CHANGE_CODE: 'change', EMAIL_CHANGED_NOTICE: 'undo' }

/** Subject and both bodies of a mail. The code is eight digits without spaces, so that readers and programs can copy it. */
export function renderMail ({ type, name, brand, contact, verifyUrl, challenge, isExpired = false }: MailContent): RenderedMail {
  const isProved = PROVED.has(type)
  const subject = { brand, contact, name: isProved ? greetingName(name) : quotedName(name) }
  const words = isExpired ? expiredWording(type, subject) : wording(type, subject, challenge !== undefined)
  // The code that undoes a change is for the link alone, so the mail does not show it.
  const code = isExpired || type === 'EMAIL_CHANGED_NOTICE' ? undefined : challenge?.code
  // In the fragment: browsers do not send it, so the code appears in no log, and scanners and previews that only fetch
  // links cannot use it up.
  const fragment = isExpired || challenge === undefined ? '' : `#${new URLSearchParams({ ...challenge, ...(ACTIONS[type] === undefined ? {} : { action: ACTIONS[type] }) })}`
  const link = words.button === '' ? undefined : verifyUrl + fragment

  const text = [
    words.opening,
    words.lead('this link'),
    ...(code === undefined ? [] : [`    ${code}`]),
    ...(link === undefined ? [] : [`${words.button}: ${link}`]),
    ...(code === undefined ? [] : [VALIDITY]),
    words.notYou,
    `-- \n${brand}`
  ].join('\n\n') + '\n'

  return { toName: isProved ? subject.name : '', subject: words.subject, text, html: layout({ words, brand, code, link }) }
}
