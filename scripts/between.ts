/** The part of a file that a command writes; the rest of it is written by hand. */
export interface Place {
  /** of the file, for the error */
  path: string
  /** the texts around it, which stay */
  begin: string
  end: string
}

/**
 * A text with other content in a place of it.
 *
 * @throws when the text has no such place
 */
export function replaceBetween (text: string, { path, begin, end }: Place, content: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from + begin.length)
  if (from === -1 || to === -1) throw new Error(`${path} has lost the lines around what is generated: "${begin.trim()}" and "${end.trim()}"`)
  return text.slice(0, from + begin.length) + content + text.slice(to)
}
