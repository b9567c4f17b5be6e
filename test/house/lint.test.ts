import { ESLint } from 'eslint'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'

const ROOT = resolve(import.meta.dirname, '../..')
const eslint = new ESLint({ cwd: ROOT })

/** The rules that a text breaks when it stands under this name. */
async function broken (filePath: string, text: string): Promise<(string | null)[]> {
  const results = await eslint.lintText(text, { filePath })
  return results.flatMap(result => result.messages.map(message => message.ruleId))
}

t.test('every file of ours is linted', async t => {
  const files = globSync(['{src,local,scripts,test,bench}/**/*.ts', '*.{js,cjs}', '.*.cjs'], { cwd: ROOT, exclude: ['test/**/fixtures/**'] })
  t.ok(files.length > 40, `${files.length} files`)
  const ignored: string[] = []
  for (const file of files) if (await eslint.isPathIgnored(file)) ignored.push(file)
  t.same(ignored, [])
})

t.test('a line in the house’s style passes', async t => {
  t.same(await broken('src/planted.ts', "export const greet = (name: string) => 'hello ' + name\n"), [])
})

const PLANTED: [rule: string, name: string, text: string][] = [
  ['@stylistic/semi', 'a semicolon', 'export const a = 1;\n'],
  ['@stylistic/quotes', 'double quotes', 'export const a = "a"\n'],
  ['@stylistic/space-before-function-paren', 'no space before the parameters of a function', 'export function f() {}\n'],
  ['@stylistic/indent', 'four spaces', 'export function f () {\n    return 1\n}\n'],
  ['@typescript-eslint/consistent-type-imports', 'a type imported as a value', "import { Readable } from 'node:stream'\nexport const f = (r: Readable) => r.read() as string\n"],
  ['@typescript-eslint/no-explicit-any', 'any', 'export const f = (a: any) => String(a)\n'],
  ['@typescript-eslint/no-unused-vars', 'a variable nobody uses', 'const a = 1\n'],
  ['no-console', 'a service that prints instead of logging', "console.log('hello')\n"],
  ['eqeqeq', 'a loose comparison', 'export const f = (a: unknown) => a == 1\n']
]

for (const [rule, name, text] of PLANTED) {
  t.test(`the linter catches ${name}`, async t => {
    t.same(await broken('src/planted.ts', text), [rule])
  })
}
