/** The values of a template by name. An empty value, or none, leaves its section out. */
export type Values = Readonly<Record<string, string | undefined>>

interface Section {
  name: string
  /** a section that is kept when there is no value */
  isInverted: boolean
  parts: Part[]
}
type Part = string | { name: string } | Section

export interface Template {
  /** every name that the template uses */
  names: ReadonlySet<string>
  /** fills in the values, each of them escaped */
  fill (values: Values, escape?: (value: string) => string): string
}

// A tag of a section that is alone in its line is removed with the line.
const TAG = /^[ \t]*\{\{([#^/])(\w+)\}\}[ \t]*\n|(?<!\{)\{\{([#^/]?)(\w+)\}\}(?!\})/gm

/**
 * Parses a template: `{{name}}` is a value, `{{#name}}…{{/name}}` is left out without one, `{{^name}}…{{/name}}` with one.
 * This is the part of Mustache that mails need. It has no unescaped values and runs no code.
 *
 * @throws {Error} with what is wrong, for the author of the template
 */
export function parseTemplate (text: string): Template {
  const names = new Set<string>()
  const root: Part[] = []
  const open: Section[] = []
  let end = 0

  const add = (part: Part) => { (open.at(-1)?.parts ?? root).push(part) }
  function addText (literal: string) {
    if (/\{\{|\}\}/.test(literal)) throw new Error(`"${(/.{0,20}(?:\{\{|\}\}).{0,20}/.exec(literal)?.[0] ?? literal).trim()}" is not a placeholder`)
    add(literal)
  }

  for (const { 0: tag, 1: lineKind, 2: lineName, 3: kind = lineKind!, 4: name = lineName!, index } of text.matchAll(TAG)) {
    addText(text.slice(end, index))
    end = index + tag.length
    names.add(name)
    if (kind === '') add({ name })
    else if (kind !== '/') {
      const section: Section = { name, isInverted: kind === '^', parts: [] }
      add(section)
      open.push(section)
    } else if (open.pop()?.name !== name) throw new Error(`{{/${name}}} closes a section that is not open`)
  }
  addText(text.slice(end))
  const [unclosed] = open
  if (unclosed !== undefined) throw new Error(`the section ${unclosed.name} is not closed`)

  function fill (parts: Part[], values: Values, escape: (value: string) => string): string {
    return parts.map(part => {
      if (typeof part === 'string') return part
      const value = Object.hasOwn(values, part.name) ? values[part.name] ?? '' : ''
      if (!('parts' in part)) return escape(value)
      return (value === '') === part.isInverted ? fill(part.parts, values, escape) : ''
    }).join('')
  }

  return { names, fill: (values, escape = value => value) => fill(root, values, escape) }
}
