import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../../../shared/config-error.ts'
import { isObject } from '../../../shared/is-object.ts'
import { canonicalLocale, DEFAULT_LOCALE, lookupTags } from '../../../shared/locale.ts'
import { parseTemplate, type Template } from './template.ts'

/** The files of this project. The folder is beside this module, and beside the built artifact. */
const BUILT_IN = new URL('./mail-templates/', import.meta.url)

/** The language whose catalogue defines the keys of all others, and which is used when there is no other. */
const REFERENCE = DEFAULT_LOCALE

/** The longest text of a catalogue, in characters. */
const MAX_TEXT = 1000

/** The longest subject, without its values: RFC 5322 §2.1.1 asks for lines of at most 78 characters. */
export const MAX_SUBJECT = 60

/** Values that every text may use. Other values belong to the keys whose English text uses them. */
const EVERYWHERE = ['brand', 'contact']

/** The texts of a language, by section and key. English has every key. */
export type Catalogue = typeof import('./mail-templates/en.json', { with: { type: 'json' } })
export type Texts = Record<string, Record<string, string>>

const LAYOUT_VALUES = ['lang', 'dir', 'start', 'subject', 'preheader', 'heading', 'opening', 'details', 'lead', 'code', 'link', 'button', 'validity', 'notYou', 'brand', 'sentBy', 'logo',
  'accent', 'onAccent', 'accentLine', 'accentDark', 'onAccentDark']
/** What a reader needs. A layout without one of them would hide a part of some mail. */
const LAYOUT_NEEDS = ['opening', 'details', 'lead', 'code', 'link', 'button', 'validity', 'notYou']
const LAYOUTS = ['layout.html', 'layout.txt'] as const

export interface Templates {
  catalogues: ReadonlyMap<string, Catalogue>
  html: Template
  text: Template
}

/** Names and contents of the files in a folder that are, or look like, templates. */
async function readFolder (folder: URL): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter(name => /\.(?:json|html|txt)$/.test(name)).sort()
  return new Map(await Promise.all(names.map(async name => [name, await readFile(new URL(encodeURIComponent(name), folder), 'utf8')] as const)))
}

const isJsonObject = (value: unknown): value is Record<string, unknown> => isObject(value) && !Array.isArray(value)
const withoutMark = (text: string) => text.replace(/^\ufeff/, '')

/** What is wrong with a text of a catalogue, if anything is. `model` is the English one. */
function faultOfText (text: unknown, model: string, key: string): string | undefined {
  if (typeof text !== 'string' || text.trim() === '') return 'is not a text'
  const longest = key.endsWith('.subject') ? MAX_SUBJECT : MAX_TEXT
  if (text.length > longest) return `is longer than ${longest} characters`
  // A line break in a subject would be one in a header.
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) || !text.isWellFormed()) return 'has a line break or a control character'
  let names: ReadonlySet<string>
  try {
    names = parseTemplate(text).names
  } catch (error) {
    return `is not valid: ${(error as Error).message}`
  }
  if (/\{\{[#^/]/.test(text)) return 'has a section, which only a layout may have'
  const needed = parseTemplate(model).names
  const unknown = [...names].find(name => !needed.has(name) && !EVERYWHERE.includes(name))
  if (unknown !== undefined) return `has the unknown placeholder {{${unknown}}}`
  const missing = [...needed].find(name => !names.has(name) && !EVERYWHERE.includes(name))
  return missing === undefined ? undefined : `lacks the placeholder {{${missing}}}`
}

/**
 * What is wrong with a catalogue, compared with English.
 *
 * @param isPartial whether missing keys come from another catalogue
 */
export function faultsOf (texts: unknown, model: Texts, { isPartial = false } = {}): string[] {
  if (!isJsonObject(texts)) return ['is not a JSON object']
  const faults: string[] = []
  for (const [section, keys] of Object.entries(texts)) {
    if (!Object.hasOwn(model, section)) faults.push(`unknown key ${section}`)
    else if (!isJsonObject(keys)) faults.push(`${section} is not an object`)
    else {
      for (const [key, text] of Object.entries(keys)) {
        const name = `${section}.${key}`
        if (!Object.hasOwn(model[section]!, key)) faults.push(`unknown key ${name}`)
        else {
          const fault = faultOfText(text, model[section]![key]!, name)
          if (fault !== undefined) faults.push(`${name} ${fault}`)
        }
      }
    }
  }
  if (isPartial) return faults
  for (const [section, keys] of Object.entries(model)) {
    for (const key of Object.keys(keys)) if (!isJsonObject(texts[section]) || !Object.hasOwn(texts[section], key)) faults.push(`missing key ${section}.${key}`)
  }
  return faults
}

function merge (base: Texts, changes: Texts): Texts {
  return Object.fromEntries(Object.entries(base).map(([section, keys]) => [section, { ...keys, ...changes[section] }]))
}

/** Adds a folder's files to the templates so far. Returns what is wrong with them. */
function addFolder (files: Map<string, string>, catalogues: Map<string, Texts>, layouts: Map<string, Template>): string[] {
  const faults: string[] = []
  const parsed: [language: string, name: string, texts: unknown][] = []
  for (const [name, content] of files) {
    if (LAYOUTS.some(layout => layout === name)) {
      try {
        const layout = parseTemplate(withoutMark(content))
        const unknown = [...layout.names].find(used => !LAYOUT_VALUES.includes(used))
        const missing = LAYOUT_NEEDS.find(needed => !layout.names.has(needed))
        if (unknown !== undefined) faults.push(`${name}: unknown placeholder {{${unknown}}}`)
        else if (missing !== undefined) faults.push(`${name}: the placeholder {{${missing}}} is missing`)
        else layouts.set(name, layout)
      } catch (error) {
        faults.push(`${name}: ${(error as Error).message}`)
      }
      continue
    }
    const tag = name.replace(/\.json$/, '')
    // Longer languages are valid tags, but none is registered: `german` is a mistake.
    const language = /^[a-z]{2,3}(?:-|$)/i.test(tag) ? canonicalLocale(tag) : undefined
    if (language === undefined || language !== tag) {
      faults.push(`${name}: not the name of a template (${LAYOUTS.join(', ')}, or a language such as ${REFERENCE}.json${language === undefined ? '' : `, here ${language}.json`})`)
      continue
    }
    try {
      parsed.push([language, name, JSON.parse(withoutMark(content))])
    } catch {
      faults.push(`${name}: not JSON`)
    }
  }
  // English first, because the others are compared with it; then languages before their regions, which complete them.
  const rank = (language: string) => language === REFERENCE ? 0 : language.length
  for (const [language, name, texts] of parsed.sort(([a], [b]) => rank(a) - rank(b))) {
    const base = lookupTags(language).map(tag => catalogues.get(tag)).find(found => found !== undefined)
    const found = faultsOf(texts, catalogues.get(REFERENCE) ?? texts as Texts, { isPartial: base !== undefined })
    faults.push(...found.map(fault => `${name}: ${fault}`))
    if (found.length === 0) catalogues.set(language, base === undefined ? texts as Texts : merge(base, texts as Texts))
  }
  return faults
}

/**
 * Reads the templates: those of this project, and over them the files of a directory.
 *
 * @throws {ConfigError} when the directory cannot be read, or a file in it is not valid
 */
export async function readTemplates (directory?: string): Promise<Templates> {
  const catalogues = new Map<string, Texts>()
  const layouts = new Map<string, Template>()
  const own = addFolder(await readFolder(BUILT_IN), catalogues, layouts)
  if (own.length > 0) throw new Error(`mail templates: ${own.join('; ')}`)
  if (directory !== undefined) {
    const files = await readFolder(new URL(`${pathToFileURL(directory).href}/`)).catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(`Configuration: MAIL_TEMPLATES_DIR cannot be read (${error.code ?? error.name})`)
    })
    const [first, ...more] = files.size === 0 ? ['it has no template'] : addFolder(files, catalogues, layouts)
    if (first !== undefined) throw new ConfigError(`Configuration: MAIL_TEMPLATES_DIR: ${first}${more.length === 0 ? '' : ` (and ${more.length} more)`}`)
  }
  return { catalogues: catalogues as unknown as Map<string, Catalogue>, html: layouts.get('layout.html')!, text: layouts.get('layout.txt')! }
}
