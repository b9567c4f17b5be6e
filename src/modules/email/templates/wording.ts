import type { EmailType } from '../schemas.ts'
import type { Catalogue } from './files.ts'
import { parseTemplate, type Values } from './template.ts'

/** What a mail is about, and what is known about its reader. */
export interface Occasion {
  type: EmailType
  /** the name to greet or to quote; empty when no name may be shown */
  name: string
  /** who invited the reader, empty when the name may not be shown; `undefined` when the mail is not an invitation */
  inviter: string | undefined
  /** the code expired before it could be sent */
  isExpired: boolean
  /** whether the mail can undo a change */
  canUndo: boolean
  /** whether it is known until when */
  hasEnd: boolean
}

/** The texts of a mail, with placeholders. */
interface Words {
  subject: string
  /** the text that an inbox shows beside the subject */
  preheader: string
  heading: string
  /** first line: a greeting, or whose registration the mail is about */
  opening: string
  /** a paragraph between that and the lead */
  details?: string
  /** how to use the code or the link; `leadInText` for the text part, which has no button */
  lead: string
  leadInText?: string
  /** label of the link */
  button?: string
  /** how long code and link work */
  validity?: string
  /** what to do if the reader did not ask for this mail */
  notYou: string
}

/** The texts of the mail, before its values are filled in. */
function wordsOf ({ type, name, inviter, isExpired, canUndo, hasEnd }: Occasion, all: Catalogue): Words {
  const { common } = all
  const hello = name === '' ? common.helloWithoutName : common.hello
  switch (type) {
    case 'WELCOME_EMAIL':
    case 'EMAIL_CHANGE_CODE': {
      const { openingWithoutName, ...texts } = type === 'EMAIL_CHANGE_CODE' ? all.EMAIL_CHANGE_CODE : inviter === undefined ? all.WELCOME_EMAIL : all.INVITATION
      const words: Words = { validity: common.validity, ...texts, opening: (inviter ?? name) === '' ? openingWithoutName : texts.opening }
      if (name === '') delete words.details
      if (!isExpired) return words
      // No button for a change of address: it starts in the app, and the page behind the link is only for signing in.
      return { opening: words.opening, ...(type === 'EMAIL_CHANGE_CODE' ? all.EXPIRED_CHANGE : all.EXPIRED_CODE) }
    }
    case 'SIGN_IN_CODE':
    case 'ACCOUNT_EXISTS':
      return { opening: hello, ...(isExpired ? all.EXPIRED_CODE : { ...all[type], validity: common.validity }) }
    case 'EMAIL_CHANGED_NOTICE': {
      const { subject, preheader, heading, details, contact, notYou, validity, ...undo } = all.EMAIL_CHANGED_NOTICE
      const words = { subject, preheader, heading, opening: hello }
      return canUndo ? { ...words, details, ...undo, ...(hasEnd ? { validity } : {}), notYou: contact } : { ...words, lead: details, notYou }
    }
  }
}

/** The texts of a mail with their values. `values` are isolated from the text around them where it is necessary. */
export function wording (occasion: Occasion, all: Catalogue, values: Values) {
  const { leadInText, ...words } = wordsOf(occasion, all)
  const filled = Object.fromEntries(Object.entries({ ...words, sentBy: all.common.sentBy }).map(([key, text]) => [key, parseTemplate(text).fill(values)])) as Omit<Words, 'leadInText'> & { sentBy: string }
  return { ...filled, leadInText: leadInText === undefined ? filled.lead : parseTemplate(leadInText).fill(values) }
}
