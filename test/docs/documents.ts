import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

export interface Document {
  /** path from the project's root */
  path: string
  text: string
  /** the text without its fenced blocks */
  prose: string
  blocks: { language: string, text: string }[]
}

const FENCE = /^```(\w*)\n([\s\S]*?)^```$/gm

function readDocument (path: string): Document {
  const text = readFileSync(resolve(ROOT, path), 'utf8')
  return { path, text, prose: text.replace(FENCE, ''), blocks: [...text.matchAll(FENCE)].map(([, language = '', block = '']) => ({ language, text: block })) }
}

/** Every document of the project. */
export const documents = globSync(['*.md', 'docs/**/*.md', 'examples/*/README.md', 'clients/*/README.md'], { cwd: ROOT }).sort().map(readDocument)

/** The anchors that a Markdown document's headings get on GitHub. */
export function anchorsOf ({ prose }: Document): string[] {
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase().replace(/\[([^\]]+)\]\([^)]*\)/g, '$1').replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'))
}
