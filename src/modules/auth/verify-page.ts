import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

// The folder lies beside this module, and beside the built artifact.
const read = (name: string) => readFile(new URL(`./verify-page/${name}`, import.meta.url), 'utf8')

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/**
 * The page behind the link in a mail: `/verify#challengeId=…&code=…`. Browsers do not send fragments, so the code appears
 * in no log. The code is sent only when the button is pressed, so mail scanners that open every link cannot use it up. The
 * page does not know which mail it was opened from, so its text fits both a registration and a sign-in.
 */
export async function readVerifyPage (): Promise<{ html: string, policy: string }> {
  const [page, style, script] = await Promise.all([read('page.html'), read('page.css'), read('page.js')])
  const parts: Record<string, string> = { style, script }
  return {
    html: page.replace(/\{\{(\w+)\}\}/g, (_match, name: string) => parts[name]!),
    // The page loads nothing: it allows its own style and script by their hashes, and requests to this origin.
    policy: [
      "default-src 'none'",
      `style-src ${hashOf(style)}`,
      `script-src ${hashOf(script)}`,
      'img-src data:',
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'"
    ].join('; ')
  }
}
