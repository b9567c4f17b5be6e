import type { FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { textOn, visibleOn } from '../../shared/colour.ts'
import { addVary } from '../../shared/http-cache.ts'
import { acceptedLocales, directionOf, nearestLocale } from '../../shared/locale.ts'
import { createStaticAnswer } from '../../shared/static-answer.ts'

// The folder lies beside this module, and beside the built artifact.
const FOLDER = new URL('./verify-page/', import.meta.url)
const read = (name: string) => readFile(new URL(name, FOLDER), 'utf8')

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, c => ENTITIES[c]!)

/** How the page looks. */
export interface Brand {
  name?: string | undefined
  /** of buttons and links, #rrggbb */
  colour?: string | undefined
  logoUrl?: string | undefined
}

/** The background of the page's content in both schemes, see page.css. */
const CARD = { light: '#ffffff', dark: '#1b212c' }

function styleOf (colour: string): string {
  const variables = (card: string, fill: string) => `:root { --action: ${visibleOn(colour, card, 4.5)}; --fill: ${fill}; --on-fill: ${textOn(fill)} }`
  return `${variables(CARD.light, colour)}\n@media (prefers-color-scheme: dark) { ${variables(CARD.dark, visibleOn(colour, CARD.dark, 3))} }\n`
}

function headOf ({ name, logoUrl }: Brand): string {
  if (logoUrl !== undefined) return `  <p class="brand"><img src="${escapeHtml(logoUrl)}" alt="${escapeHtml(name ?? '')}"></p>`
  return name === undefined ? '' : `  <p class="brand"><bdi>${escapeHtml(name)}</bdi></p>`
}

/** The page in each language, by its tag. */
async function readPages (brand: Brand): Promise<Map<string, ReturnType<typeof createStaticAnswer>>> {
  const tags = (await readdir(FOLDER)).filter(name => name.endsWith('.json')).map(name => name.replace('.json', ''))
  const [page, css, script, ...catalogues] = await Promise.all([read('page.html'), read('page.css'), read('page.js'), ...tags.map(tag => read(`${tag}.json`))])
  const style = brand.colour === undefined ? css : css + styleOf(brand.colour)
  // The page loads nothing but the logo: it allows its own style and script by their hashes, and requests to this origin.
  const policy = [
    "default-src 'none'",
    `style-src ${hashOf(style)}`,
    `script-src ${hashOf(script)}`,
    `img-src data:${brand.logoUrl === undefined ? '' : ` ${new URL(brand.logoUrl).origin}`}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join('; ')
  return new Map(catalogues.map((json, i) => {
    const lang = tags[i]!
    const texts = JSON.parse(json) as Record<string, string>
    // A `<` could close the element that holds the texts.
    const parts: Record<string, string> = { style, script, lang, dir: directionOf(lang), brand: headOf(brand), texts: JSON.stringify(texts).replaceAll('<', '\\u003c') }
    const fill = (name: string) => parts[name] ?? escapeHtml(texts[name]!).replace(/\{(\w+)\}/g, '<strong><bdi data-text="$1"></bdi></strong>')
    return [lang, createStaticAnswer({
      load: () => page.replace(/\{\{(\w+)\}\}/g, (_match, name: string) => fill(name)),
      type: 'text/html; charset=utf-8',
      cacheControl: 'no-store',
      headers: { 'content-security-policy': policy, 'content-language': lang }
    })]
  }))
}

/**
 * Answers with the page behind the link in a mail: `/verify#challengeId=…&code=…`. Browsers do not send fragments, so the
 * code appears in no log. The code is sent only when the button is pressed, so mail scanners that open every link cannot
 * use it up. The page's language is that of the browser, because it does not know whose mail it was opened from.
 */
export function createVerifyPage (brand: Brand) {
  // Read with the first request, because a cold start does not need it.
  let reading: ReturnType<typeof readPages> | undefined
  return async function verifyPage (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const pages = await (reading ??= readPages(brand).catch((error: unknown) => {
      reading = undefined
      throw error
    }))
    addVary(reply, 'accept-language')
    return await pages.get(nearestLocale(acceptedLocales(request.headers['accept-language']), pages))!(request, reply)
  }
}
