import type { EmailType } from './contract.ts'

interface MailContent {
  type: EmailType
  name: string
  /** what the service calls itself in mails */
  brand: string
  /** address a person can write to */
  contact: string
  publicUrl: string
  challenge: { challengeId: string, code: string } | undefined
}

interface Wording {
  subject: string
  /** what an inbox shows beside the subject */
  preheader: string
  heading: string
  lead: string
  button: string
  /** "if it was not you" */
  notYou: string
}

function wording (type: EmailType, brand: string, contact: string): Wording {
  switch (type) {
    case 'WELCOME_EMAIL': return {
      subject: 'Confirm your e-mail address',
      preheader: 'One step left: confirm that this address is yours.',
      heading: 'Confirm your address',
      lead: `Welcome to ${brand}. One step is left: confirm that this address is yours, with this code or the button below it.`,
      button: 'Confirm address',
      notYou: `If you did not register at ${brand}, ignore this mail. Without the code nothing comes of it, and we forget the address after seven days.`
    }
    case 'SIGN_IN_CODE': return {
      subject: 'Your sign-in code',
      preheader: 'The code you asked for is inside.',
      heading: 'Your sign-in code',
      lead: `Sign in to ${brand} with this code or the button below it.`,
      button: 'Sign in',
      notYou: 'If it was not you who asked for it, ignore this mail: nobody can sign in without the code. Never pass it on; we will not ask you for it.'
    }
    case 'ACCOUNT_EXISTS': return {
      subject: 'You already have an account',
      preheader: 'Sign in with the code inside instead of registering again.',
      heading: 'You already have an account',
      lead: `Somebody, most likely you, has registered at ${brand} with this address, and it has an account already. Sign in to it with this code or the button below it.`,
      button: 'Sign in',
      notYou: 'If it was not you, ignore this mail: nothing has changed about your account, and nobody can sign in without the code.'
    }
    case 'EMAIL_CHANGE_CODE': return {
      subject: 'Confirm your new e-mail address',
      preheader: 'Confirm that your account may move to this address.',
      heading: 'Confirm your new address',
      lead: `Your account at ${brand} is to move to this address. Confirm that it is yours, with this code or the button below it.`,
      button: 'Confirm new address',
      notYou: 'If it was not you who asked for it, ignore this mail: without the code the account stays where it is.'
    }
    case 'EMAIL_CHANGED_NOTICE': return {
      subject: 'Your e-mail address has been changed',
      preheader: 'Your account now belongs to another address.',
      heading: 'Your address has been changed',
      lead: `Your account at ${brand} has moved to another e-mail address. From now on, codes and messages go there and no longer here.`,
      button: '',
      notYou: `If it was not you who changed it, write to ${contact} at once: somebody else may be using your account.`
    }
  }
}

const VALIDITY = 'The code is valid for ten minutes and works once.'

/**
 * The name a mail may greet by; empty when there is none. Whoever fills in a registration form chooses the name that a
 * stranger's mail shows: a name that mail programs would turn into a link, or that reorders the text around it, is left
 * out.
 */
export function greetingName (name: string): string {
  const linkLike = /[/\\@<>:]|[\p{L}\p{N}_-][.\u3002\uff0e\uff61]\p{L}{2}/u
  const bidiControl = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/
  return linkLike.test(name) || bidiControl.test(name) ? '' : name.trim()
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, c => ENTITIES[c]!)

/** A template whose every value is escaped, unless it is markup made by this very tag. */
function html (strings: TemplateStringsArray, ...values: (string | { markup: string })[]): { markup: string } {
  return { markup: String.raw({ raw: strings }, ...values.map(value => typeof value === 'string' ? escapeHtml(value) : value.markup)) }
}

/** Subject and both bodies of a mail. The code stands in them as eight digits in a row, for people and programs to copy. */
export function renderMail ({ type, name, brand, contact, publicUrl, challenge }: MailContent): { subject: string, text: string, html: string } {
  const words = wording(type, brand, contact)
  const greetedBy = greetingName(name)
  const greeting = greetedBy === '' ? 'Hello,' : `Hello ${greetedBy},`
  // Behind the #: a browser sends it to no server, so the code shows up in no log, and nothing that only fetches links
  // (scanners, previews) can use it up.
  const link = challenge === undefined ? undefined : `${publicUrl}/verify#${new URLSearchParams({ challengeId: challenge.challengeId, code: challenge.code })}`

  const text = [
    greeting,
    words.lead,
    ...(challenge === undefined ? [] : [`    ${challenge.code}`, `${words.button}: ${link}`, VALIDITY]),
    words.notYou,
    `-- \n${brand}\n${publicUrl}`
  ].join('\n\n') + '\n'

  return { subject: words.subject, text, html: layout({ words, greeting, brand, publicUrl, code: challenge?.code, link }) }
}

interface LayoutContent {
  words: Wording
  greeting: string
  brand: string
  publicUrl: string
  code: string | undefined
  link: string | undefined
}

const FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
const MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"

// Mail programs are old browsers: tables lay out, styles stand on the elements, and the sheet in the head holds only
// what may be dropped (dark mode, small screens).
function layout ({ words, greeting, brand, publicUrl, code, link }: LayoutContent): string {
  const action = code === undefined || link === undefined
    ? html``
    : html`
          <tr><td style="padding:8px 0 24px">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
              <td class="code" align="center" bgcolor="#f1f4f9" style="background-color:#f1f4f9;border:1px solid #dde3ec;border-radius:10px;padding:22px 8px">
                <span class="digits" style="font-family:${MONO};font-size:34px;line-height:40px;font-weight:700;letter-spacing:4px;color:#111a2c;user-select:all;-webkit-user-select:all">${code}</span>
              </td>
            </tr></table>
          </td></tr>
          <tr><td style="padding:0 0 24px">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
              <td class="button" align="center" bgcolor="#1f4fd8" style="background-color:#1f4fd8;border-radius:10px">
                <a href="${link}" target="_blank" rel="noopener" style="display:block;padding:15px 24px;font-family:${FONT};font-size:17px;line-height:22px;font-weight:600;color:#ffffff;text-decoration:none;border-radius:10px">${words.button}</a>
              </td>
            </tr></table>
          </td></tr>
          <tr><td class="text" style="padding:0 0 16px;font-family:${FONT};font-size:16px;line-height:25px;color:#35405a">${VALIDITY}</td></tr>`

  return html`<!doctype html>
<html lang="en" dir="ltr">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width,initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="supported-color-schemes" content="light dark">
  <meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">
  <meta name="x-apple-disable-message-reformatting">
  <title>${words.subject}</title>
  <style>
    :root { color-scheme: light dark; supported-color-schemes: light dark }
    @media (max-width: 480px) {
      .page { padding: 16px 10px !important }
      .card { padding: 28px 20px 20px !important }
    }
    @media (prefers-color-scheme: dark) {
      .back, .page { background-color: #0e1320 !important }
      .card { background-color: #182032 !important; border-color: #2b3650 !important }
      .code { background-color: #101727 !important; border-color: #33405e !important }
      .button { background-color: #3d6bf0 !important }
      .heading, .digits { color: #f3f6fc !important }
      .text { color: #c6cfe2 !important }
      .quiet, .quiet a { color: #93a0bb !important }
      .rule { border-color: #2b3650 !important }
    }
  </style>
</head>
<body class="back" style="margin:0;padding:0;background-color:#eef1f6;word-spacing:normal;-webkit-text-size-adjust:100%;-ms-text-size-adjust:100%">
  <div style="display:none;max-height:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;opacity:0">${words.preheader}${{ markup: '&#847;&zwnj;&nbsp;'.repeat(60) }}</div>
  <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
    <td class="page" align="center" bgcolor="#eef1f6" style="background-color:#eef1f6;padding:40px 16px">
      <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:520px"><tr>
        <td class="quiet" align="left" style="padding:0 4px 14px;font-family:${FONT};font-size:15px;line-height:20px;font-weight:600;color:#5b6780">${brand}</td>
      </tr><tr>
        <td class="card" align="left" bgcolor="#ffffff" style="background-color:#ffffff;border:1px solid #dde3ec;border-radius:14px;padding:36px 36px 26px">
        <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
          <tr><td class="heading" style="padding:0 0 16px;font-family:${FONT};font-size:24px;line-height:31px;font-weight:700;color:#111a2c"><h1 style="margin:0;font-size:24px;line-height:31px;font-weight:700">${words.heading}</h1></td></tr>
          <tr><td class="text" style="padding:0 0 10px;font-family:${FONT};font-size:16px;line-height:25px;color:#35405a;overflow-wrap:anywhere">${greeting}</td></tr>
          <tr><td class="text" style="padding:0 0 16px;font-family:${FONT};font-size:16px;line-height:25px;color:#35405a">${words.lead}</td></tr>${action}
          <tr><td class="rule quiet" style="border-top:1px solid #e6eaf1;padding:18px 0 0;font-family:${FONT};font-size:14px;line-height:21px;color:#5b6780">${words.notYou}</td></tr>
        </table>
        </td>
      </tr><tr>
        <td class="quiet" align="left" style="padding:16px 4px 0;font-family:${FONT};font-size:13px;line-height:19px;color:#5b6780">Sent by ${brand}, <a href="${publicUrl}" style="color:#5b6780">${publicUrl}</a></td>
      </tr></table>
    </td>
  </tr></table>
</body>
</html>
`.markup
}
