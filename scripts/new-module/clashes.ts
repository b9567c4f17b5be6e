import Fastify from 'fastify'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../command.ts'
import { rename, type Names } from './names.ts'

const IDENTIFIER = /(?<![.\w$])[A-Za-z_$][\w$]*/g

/** Code without its comments and texts: what is left has names. */
const codeIn = (source: string) => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, ' ')

/** A name that the templates' own code uses, and that a renamed one would hide. */
function hidden (sources: string[], names: Names): string | undefined {
  for (const source of sources) {
    const found = new Set(codeIn(source).match(IDENTIFIER))
    for (const name of found) {
      const renamed = rename(name, names)
      if (renamed !== name && (found.has(renamed) || renamed in globalThis)) return renamed
    }
  }
  return undefined
}

/**
 * Checks that nothing in the project has the names of a new module.
 *
 * @param root the project
 * @param sources the templates
 * @throws {UsageError} with what has the name
 */
export function checkFree (root: string, names: Names, sources: string[]): void {
  const { many, one } = names
  const taken = (what: string) => new UsageError(`${many.kebab} cannot be the name of a new module: ${what}`)
  const read = (pattern: string) => globSync(pattern, { cwd: root }).map(file => ({ file, text: readFileSync(join(root, file), 'utf8') }))
  const [src, template, document] = [read('src/**/*.ts'), read('template.yaml')[0]!.text, read('docs/openapi/v2.json')[0]!.text]
  const where = (pattern: RegExp, files = src) => files.find(({ text }) => pattern.test(text))?.file

  for (const folder of [`src/modules/${many.kebab}`, `test/modules/${many.kebab}`]) if (existsSync(join(root, folder))) throw taken(`${folder} exists`)
  const word = where(new RegExp(`['"\`]${many.kebab}['"\`]|\\bapp\\.${many.camel}\\b`), src.filter(({ file }) => !file.startsWith('src/modules/')))
  if (word !== undefined) throw taken(`${word} uses this word, and plugins know no module`)
  if (many.camel in Fastify()) throw taken(`Fastify has an app.${many.camel}`)
  const decorator = where(new RegExp(`decorate\\('${many.camel}'`))
  if (decorator !== undefined) throw taken(`${decorator} decorates the app with ${many.camel}`)
  const tag = where(new RegExp(`apiDocs\\.tag\\(\\{ name: '${many.kebab}'|contribute\\('${many.camel}'`))
  if (tag !== undefined) throw taken(`${tag} uses it for a tag, or for a part of the export`)
  const schema = where(new RegExp(`(?:\\$id|title): '(?:New)?${one.pascal}(?:Page)?'`))
  if (schema !== undefined) throw taken(`${schema} has a schema ${one.pascal}`)
  if (document.includes(`"/v2/users/me/${many.kebab}`)) throw taken(`/v2/users/me/${many.kebab} is a path of the API`)
  if (new RegExp(`^  ${many.pascal}(?:Table|StreamMapping|RefusedAlarm):`, 'm').test(template)) throw taken(`template.yaml has a resource ${many.pascal}…`)
  if (new RegExp(`^  ${many.constant}_(?:TABLE|MAX):`, 'm').test(src.find(({ file }) => file === 'src/plugins/config.ts')!.text)) throw taken(`${many.constant}_… is a variable`)
  const name = hidden(sources, names)
  if (name !== undefined) throw taken(`the code of a module uses ${name} for something else`)
}
