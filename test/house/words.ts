import { globSync, readFileSync } from 'node:fs'

/** The text of files by their paths. */
export type Sources = Record<string, string>

export function readSources (root: string, pattern: string | string[]): Sources {
  return Object.fromEntries(globSync(pattern, { cwd: root }).sort().map(file => [file, readFileSync(`${root}/${file}`, 'utf8')]))
}

interface Word {
  /** of the module that the word belongs to */
  module: string
  kind: string
  word: string
}

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(match => match[1]!)

/** How each kind of word is written where its module declares it. */
const DECLARED: [kind: string, find: (text: string) => string[]][] = [
  ['event type', text => all(text, /_ENTRIES = \{([\s\S]*?)^\}/gm).flatMap(body => all(body, /^ {2}'([\w.-]+)':/gm))],
  // Types of mails, states of an account.
  ['value', text => all(text, /Type\.Literal\('([A-Z][A-Z_]{3,})'\)/g)],
  ['error code', text => all(text, /createError(?:<[^>]*>)?\('([A-Z_0-9]+)'/g)],
  ['tag', text => all(text, /apiDocs\.tag\(\{ name: '([^']+)'/g)],
  ['metric', text => all(text, /interface MetricNames \{([^}]*)\}/g).flatMap(body => all(body, /^\s*(\w+): true$/gm))],
  ['variable', text => [
    ...all(text, /\bconfig\.([A-Z][A-Z_0-9]+)\b/g),
    ...all(text, /\{([^{}]*)\} = (?:app\.)?config\b/g).flatMap(names => all(names, /\b([A-Z][A-Z_0-9]+)\b/g))
  ]],
  ['path', text => all(text, /\bapp\.(?:get|post|put|patch|delete)\('([^']+)'/g).map(path => path.replace(/\/:.*$/, ''))],
  ['decorator', text => all(text, /app\.decorate\('(\w+)'/g)]
]

/** Every word of every module, each once. */
export function wordsOf (modules: Sources): Word[] {
  const words = Object.entries(modules).flatMap(([file, text]) => {
    const module = file.split('/')[2]!
    const declared = DECLARED.flatMap(([kind, find]) => find(text).map(word => ({ module, kind, word })))
    return [...declared, { module, kind: 'error prefix', word: `${module.toUpperCase().replaceAll('-', '_')}_` }]
  })
  return [...new Map(words.map(word => [`${word.module} ${word.kind} ${word.word}`, word])).values()]
}

const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Where a word counts as that word: `users` in a sentence is English, `'users'` is a tag. */
function patternOf ({ kind, word }: Word): RegExp {
  if (kind === 'tag') return new RegExp(`['"\`]${escaped(word)}['"\`]`)
  if (kind === 'path') return new RegExp(`['"\`]${escaped(word)}(?:[/'"\`]|$)`)
  if (kind === 'decorator') return new RegExp(`\\b(?:app|instance|fastify|scope|server)\\.${word}\\b`)
  if (kind === 'error prefix') return new RegExp(`'${word}[A-Z_]+'`)
  return new RegExp(`(?<![\\w-])${escaped(word)}(?![\\w-])`)
}

/** Each word of a module that stands in a file which must not know it: `file: word, a kind of module`. */
export function copiedWords (modules: Sources, others: Sources): string[] {
  const words = wordsOf(modules).map(word => ({ ...word, pattern: patternOf(word) }))
  return Object.entries(others).flatMap(([file, text]) => words.flatMap(({ module, kind, word, pattern }) => {
    const [found] = pattern.exec(text) ?? []
    return found === undefined ? [] : [`${file}: ${kind === 'error prefix' ? found : word}, ${kind} of ${module}`]
  }))
}
