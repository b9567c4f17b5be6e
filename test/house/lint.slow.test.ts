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
  const files = globSync(['{src,local,scripts,test,bench}/**/*.ts', '*.{js,cjs}', '.*.cjs'], { cwd: ROOT, exclude: ['test/**/fixtures/**', 'bench/node_modules/**', 'scripts/new-module/template/**'] }) // the templates of a module are linted once written: test/house/add-module.slow.test.ts
  t.ok(files.length > 40, `${files.length} files`)
  const ignored: string[] = []
  for (const file of files) if (await eslint.isPathIgnored(file)) ignored.push(file)
  t.same(ignored, [])
})

// With types, the linter reads files of the project only: a text stands in for one of them.
const FILE = 'src/shared/ids.ts'

t.test('a line in the house’s style passes', async t => {
  t.same(await broken(FILE, "export const greet = (name: string) => 'hello ' + name\n"), [])
})

const PLANTED: [rule: string, name: string, text: string][] = [
  ['@stylistic/semi', 'a semicolon', 'export const a = 1;\n'],
  ['@stylistic/quotes', 'double quotes', 'export const a = "a"\n'],
  ['@stylistic/space-before-function-paren', 'no space before the parameters of a function', 'export function f() {}\n'],
  ['@stylistic/indent', 'four spaces', 'export function f () {\n    return 1\n}\n'],
  ['@typescript-eslint/consistent-type-imports', 'a type imported as a value', "import { Readable } from 'node:stream'\nexport const f = (r: Readable) => r.read() as string\n"],
  ['@typescript-eslint/no-explicit-any', 'any', 'export const f = (a: any) => String(a)\n'],
  ['@typescript-eslint/no-unused-vars', 'a variable that is not used', 'const a = 1\n'],
  ['no-console', 'a service that prints instead of logging', "console.log('hello')\n"],
  ['@typescript-eslint/no-floating-promises', 'a promise that nothing waits for', 'export const f = async () => 1\nexport function g () { f() }\n'],
  ['@typescript-eslint/no-floating-promises', 'a promise of a client that is called and forgotten', "export async function f (table: { put (id: string): Promise<void> }) {\n  table.put('x')\n}\n"],
  ['@typescript-eslint/no-misused-promises', 'a listener whose rejection is lost', "export const f = (stop: () => Promise<void>) => process.on('SIGTERM', stop)\n"],
  ['@typescript-eslint/no-misused-promises', 'a condition that forgets to await', 'export const f = (isFree: () => Promise<boolean>) => isFree() ? 1 : 2\n'],
  ['eqeqeq', 'a loose comparison', 'export const f = (a: unknown) => a == 1\n']
]

for (const [rule, name, text] of PLANTED) {
  t.test(`the linter catches ${name}`, async t => {
    t.same(await broken(FILE, text), [rule])
  })
}
