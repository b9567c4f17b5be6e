import { VALIDITY, type Wording } from './wording.ts'

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, c => ENTITIES[c]!)

/** A template tag that escapes every value, unless the value was made by this tag. */
function html (strings: TemplateStringsArray, ...values: (string | { markup: string })[]): { markup: string } {
  return { markup: String.raw({ raw: strings }, ...values.map(value => typeof value === 'string' ? escapeHtml(value) : value.markup)) }
}

interface LayoutContent {
  words: Wording
  brand: string
  code: string | undefined
  link: string | undefined
}

const FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
const MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"

/**
 * The HTML body of a mail. Mail clients support only old HTML: the layout uses tables and inline styles, and the style
 * sheet in the head holds only what clients may drop (dark mode, small screens).
 */
export function layout ({ words, brand, code, link }: LayoutContent): string {
  const digits = code === undefined
    ? html``
    : html`
          <tr><td style="padding:8px 0 24px">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
              <td class="code" align="center" bgcolor="#f1f4f9" style="background-color:#f1f4f9;border:1px solid #dde3ec;border-radius:10px;padding:22px 8px">
                <span class="digits" style="font-family:${MONO};font-size:34px;line-height:40px;font-weight:700;letter-spacing:4px;color:#111a2c;user-select:all;-webkit-user-select:all">${code}</span>
              </td>
            </tr></table>
          </td></tr>`
  const button = link === undefined
    ? html``
    : html`
          <tr><td style="padding:0 0 24px">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
              <td class="button" align="center" bgcolor="#1f4fd8" style="background-color:#1f4fd8;border-radius:10px">
                <a href="${link}" target="_blank" rel="noopener" style="display:block;padding:15px 24px;font-family:${FONT};font-size:17px;line-height:22px;font-weight:600;color:#ffffff;text-decoration:none;border-radius:10px">${words.button}</a>
              </td>
            </tr></table>
          </td></tr>`
  const validity = code === undefined
    ? html``
    : html`
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
      .quiet { color: #93a0bb !important }
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
          <tr><td class="text" style="padding:0 0 10px;font-family:${FONT};font-size:16px;line-height:25px;color:#35405a;overflow-wrap:anywhere">${words.opening}</td></tr>
          <tr><td class="text" style="padding:0 0 16px;font-family:${FONT};font-size:16px;line-height:25px;color:#35405a">${words.lead('the button below')}</td></tr>${digits}${button}${validity}
          <tr><td class="rule quiet" style="border-top:1px solid #e6eaf1;padding:18px 0 0;font-family:${FONT};font-size:14px;line-height:21px;color:#5b6780">${words.notYou}</td></tr>
        </table>
        </td>
      </tr><tr>
        <td class="quiet" align="left" style="padding:16px 4px 0;font-family:${FONT};font-size:13px;line-height:19px;color:#5b6780">Sent by ${brand}</td>
      </tr></table>
    </td>
  </tr></table>
</body>
</html>
`.markup
}
