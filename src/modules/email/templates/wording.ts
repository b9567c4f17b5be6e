import type { EmailType } from '../schemas.ts'

/** The values that the texts contain. */
export interface Subject {
  /** the name of the service in mails */
  brand: string
  /** the contact address for readers */
  contact: string
  /** the name to greet or to quote; empty when no name may be shown */
  name: string
}

export interface Wording {
  subject: string
  /** the text that an inbox shows beside the subject */
  preheader: string
  heading: string
  /** first line: a greeting, or whose registration the mail is about */
  opening: string
  /** one sentence; `way` is the other way to use the code, besides typing it */
  lead: (way: string) => string
  /** label of the button, or of the link in the text part; empty for no button */
  button: string
  /** what to do if the reader did not ask for this mail */
  notYou: string
}

export const VALIDITY = 'The code works once and expires ten minutes after it was requested.'

const hello = (name: string) => name === '' ? 'Hello,' : `Hello ${name},`

/** The mail of each type. `canUndo`: a notice of a change comes with a link that undoes it. */
export function wording (type: EmailType, { brand, contact, name }: Subject, canUndo = false): Wording {
  switch (type) {
    case 'WELCOME_EMAIL': return {
      subject: 'Confirm your e-mail address',
      preheader: 'Confirm that this address is yours.',
      heading: 'Confirm your address',
      opening: `This address was registered at ${brand}${name === '' ? '' : ` under the name “${name}”`}.`,
      lead: way => `To confirm that it is yours, use this code or ${way}.`,
      button: 'Confirm address',
      notYou: `If you did not register at ${brand}, ignore this mail. Without the code nothing happens, and we delete the registration after seven days.`
    }
    case 'SIGN_IN_CODE': return {
      subject: 'Your sign-in code',
      preheader: 'Here is the code you asked for.',
      heading: 'Your sign-in code',
      opening: hello(name),
      lead: way => `To sign in to ${brand}, use this code or ${way}.`,
      button: 'Sign in',
      notYou: 'If you did not ask for this code, ignore this mail: no one can sign in without it. Never share the code. We will never ask you for it.'
    }
    case 'ACCOUNT_EXISTS': return {
      subject: 'You already have an account',
      preheader: 'Sign in with the code in this mail instead of registering again.',
      heading: 'You already have an account',
      opening: hello(name),
      lead: way => `Someone, most likely you, tried to register at ${brand} with this address, which already has an account. To sign in to it, use this code or ${way}.`,
      button: 'Sign in',
      notYou: 'If it was not you, ignore this mail: your account has not changed, and no one can sign in without the code.'
    }
    case 'EMAIL_CHANGE_CODE': return {
      subject: 'Confirm your new e-mail address',
      preheader: 'Confirm that this is the new address of your account.',
      heading: 'Confirm your new address',
      opening: `This address was entered as the new address of ${name === '' ? 'an account' : `the account of “${name}”`} at ${brand}.`,
      lead: way => `To confirm the change, use this code or ${way}.`,
      button: 'Confirm new address',
      notYou: 'If you did not ask for this change, ignore this mail: without the code nothing changes.'
    }
    case 'EMAIL_CHANGED_NOTICE': return {
      subject: 'Your e-mail address has been changed',
      preheader: 'Your account now has another e-mail address.',
      heading: 'Your address has been changed',
      opening: hello(name),
      lead: way => `The e-mail address of your account at ${brand} has been changed. Codes and messages now go to the new address.${canUndo ? ` If you did not change it, undo the change within seven days with ${way}: the account then has this address again, and every device is signed out.` : ''}`,
      button: canUndo ? 'Undo the change' : '',
      notYou: `If you did not change it${canUndo ? ' and cannot undo it' : ''}, write to ${contact} at once: someone else may be using your account.`
    }
  }
}

/** The mail that is sent instead when the code expired while the mail server could not be reached. */
export function expiredWording (type: EmailType, subject: Subject): Wording {
  const original = wording(type, subject)
  const isChange = type === 'EMAIL_CHANGE_CODE'
  return {
    ...original,
    subject: isChange ? 'Your change of address has expired' : 'Your code has expired',
    preheader: 'We could not deliver your code in time.',
    heading: isChange ? 'Start the change again' : 'Ask for a new code',
    lead: () => `We could not deliver your code in time, and it has expired. ${isChange ? 'To confirm the change, start it again where you entered this address.' : 'You can ask for a new one.'}`,
    // No button for a change of address: it starts in the app, and the page behind the link is only for signing in.
    button: isChange ? '' : 'Get a new code',
    notYou: 'If you did not ask for a code, ignore this mail.'
  }
}
