import type { EmailType } from '../schemas.ts'
import { layout } from './layout.ts'
import { greetingName, quotedName } from './names.ts'
import { expiredWording, VALIDITY, wording, type Subject } from './wording.ts'

export interface MailContent extends Subject {
  type: EmailType
  /** page that links lead to */
  verifyUrl: string
  /** `undefined` in a mail without a code */
  challenge: { challengeId: string, code: string } | undefined
  /** the code expired before it could be sent: the mail says how to ask for another */
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
 * Mails that only the owner of a proved address gets. They greet by name; any other may quote it, and shows it nowhere
 * else: a caller who enters a stranger's address must not write that stranger's mail.
 */
const PROVED: ReadonlySet<EmailType> = new Set(['SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGED_NOTICE'])

/** Subject and both bodies of a mail. The code stands in them as eight digits in a row, for readers and programs to copy. */
export function renderMail ({ type, name, brand, contact, verifyUrl, challenge, isExpired = false }: MailContent): RenderedMail {
  const isProved = PROVED.has(type)
  const subject = { brand, contact, name: isProved ? greetingName(name) : quotedName(name) }
  const words = isExpired ? expiredWording(type, subject) : wording(type, subject)
  const code = isExpired ? undefined : challenge?.code
  // Behind the #: a browser sends it to no server, so the code shows up in no log, and nothing that only fetches links
  // (scanners, previews) can use it up.
  const fragment = isExpired || challenge === undefined ? '' : `#${new URLSearchParams(challenge)}`
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
