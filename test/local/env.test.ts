import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { dotenvLine } from '../../local/dotenv.ts'
import { completeEnv, ENV_EXAMPLE, engineEnv } from '../../local/env.ts'
import { readTemplate } from '../../local/template.ts'
import { loadConfig } from '../../src/plugins/config.ts'

t.test('the complete environment is one that the service starts with, and single values of it can be changed', async t => {
  t.doesNotThrow(() => loadConfig(completeEnv()))
  t.equal(loadConfig(completeEnv({ PORT: '0' })).PORT, 0)
  t.throws(() => loadConfig(completeEnv({ PUBLIC_URL: undefined })), { message: /PUBLIC_URL is missing/ })
})

t.test('the environment of the engines names every table and queue of the template that the configuration names', async t => {
  const template = readTemplate()
  const env = engineEnv({ template, dynamodb: 'http://127.0.0.1:1', sqs: 'http://127.0.0.1:2', smtp: 'smtp://127.0.0.1:3' })
  for (const table of Object.keys(template.tables)) t.ok(Object.values(env).includes(table), `${table} has a variable whose example in the schema is its logical id`)
  t.equal(env['EMAIL_QUEUE_URL'], 'http://127.0.0.1:2/000000000000/EmailQueue')
})

const ROOT = new URL('../../', import.meta.url).pathname

/** What the environment is after a program has read a dotenv file. */
const READERS: Record<string, (file: string) => Record<string, string | undefined>> = {
  sh: file => JSON.parse(execFileSync('sh', ['-ec', `set -a; . "${file}"; exec "${process.execPath}" -p "JSON.stringify(process.env)"`], { encoding: 'utf8', env: {} })) as Record<string, string>,
  'node --env-file': file => JSON.parse(execFileSync(process.execPath, [`--env-file=${file}`, '-p', 'JSON.stringify(process.env)'], { encoding: 'utf8', env: {} })) as Record<string, string>,
  // The parser that scripts use; it follows the rules of the dotenv package.
  parseEnv: file => parseEnv(readFileSync(file, 'utf8'))
}

t.test('a copy of .env.example with its secret filled in means the same to a shell and to Node', async t => {
  const file = join(t.testdir(), '.env')
  copyFileSync(ENV_EXAMPLE, file)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^JWT_SECRET=$/m, 'JWT_SECRET=0123456789012345678901234567890123456789'))
  for (const [name, read] of Object.entries(READERS)) {
    t.match(read(file), completeEnv({ JWT_SECRET: '0123456789012345678901234567890123456789' }), name)
    t.doesNotThrow(() => loadConfig(read(file)), name)
  }
})

t.test('every value that can be written to a dotenv file is read back as it was, others are refused', async t => {
  const values = { EMPTY: '', PLAIN: 'a/b:c,d=e', BLANK: 'User Service <users@example.com>', DOLLAR: 'a$HOME`id`"\\n#x', APOSTROPHE: "O'Brien <o@example.com>" }
  const file = join(t.testdir(), 'env')
  writeFileSync(file, Object.entries(values).map(([name, value]) => `${dotenvLine(name, value)}\n`).join(''))
  for (const [name, read] of Object.entries(READERS)) t.match(read(file), values, name)
  for (const value of ["it's $5", 'two\nlines', "'\""]) t.throws(() => dotenvLine('NAME', value), /NAME cannot be written/)
})

t.test('no other file writes a complete environment of its own', async t => {
  const files = globSync(['local/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts'], { cwd: ROOT })
  t.ok(files.length > 50, `${files.length} files`)
  t.strictSame(files.filter(file => /\bAUTH_TABLE['"]?\s*[:=]\s*['"\w]/.test(readFileSync(join(ROOT, file), 'utf8'))), [])
})
