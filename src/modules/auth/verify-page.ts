import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

// Beside the module, and beside the artifact made of it.
const read = (name: string) => readFile(new URL(`./verify-page/${name}`, import.meta.url), 'utf8')

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/**
 * The page behind the link of a mail: `/verify#challengeId=…&code=…`. A fragment is sent to no server, so the code is in
 * no log; and only a press of the button sends it, so that a mail scanner that opens every link does not. The
 * page does not know which mail it was opened from, so its words fit a registration as well as a sign-in.
 */
export async function readVerifyPage (): Promise<{ html: string, policy: string }> {
  const [page, style, script] = await Promise.all([read('page.html'), read('page.css'), read('page.js')])
  const parts: Record<string, string> = { style, script }
  return {
    html: page.replace(/\{\{(\w+)\}\}/g, (_match, name: string) => parts[name]!),
    // One document, with nothing to load: its own style and script by their hashes, and calls to this origin.
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
