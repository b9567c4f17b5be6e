import { readFileSync, writeFileSync } from 'node:fs'
import { dotenvLine } from '../local/dotenv.ts'
import { ENV_EXAMPLE } from '../local/env.ts'
import { ConfigSchema } from '../src/plugins/config.ts'
import { readOptions } from './options.ts'
import { endOnSignals } from './signals.ts'

const PAGE = new URL('../docs/configuration.md', import.meta.url)

const HELP = `npm run env: writes .env.example and the table of docs/configuration.md, both from the schema in src/plugins/config.ts.

Run it after every change of the schema; a test compares them.
`

interface Variable {
  name: string
  description: string
  default?: unknown
  examples?: unknown[]
  isRequired: boolean
}

/** A value as it is written in the environment. */
const textOf = (value: unknown): string => Array.isArray(value) ? value.join(',') : String(value)

/** The variables of the schema. JWT_SECRET counts as required, because it or JWT_SECRET_ARN must be set. */
function variablesOf (): Variable[] {
  const required = new Set<string>([...ConfigSchema.required ?? [], 'JWT_SECRET'])
  return Object.entries(ConfigSchema.properties as unknown as Record<string, Omit<Variable, 'name' | 'isRequired'>>)
    .map(([name, variable]) => ({ ...variable, name, isRequired: required.has(name) && variable.default === undefined }))
}

function block ({ name, description, default: byDefault, examples = [], isRequired }: Variable): string {
  const kind = isRequired ? 'required' : byDefault === undefined ? 'optional' : `default: ${textOf(byDefault) || 'none'}`
  const line = dotenvLine(name, textOf(byDefault ?? examples[0] ?? ''))
  return `# ${description}\n# (${kind})\n${isRequired ? '' : '# '}${line}\n`
}

/** `.env.example`: every variable with its meaning and its default or an example. */
export function makeEnvExample (): string {
  return `# Every variable the service reads. Copy this file to .env and fill in JWT_SECRET (openssl rand -base64 48): npm run serve
# reads .env from the project's folder; variables that are already set take precedence. npm start does not read .env.
# A line that is commented out shows a default, or an example for an optional variable.
# Generated from src/plugins/config.ts by npm run env.

${variablesOf().map(block).join('\n')}`
}

/** The table of docs/configuration.md, with its head. */
export function makeConfigurationTable (): string {
  const cell = (text: string) => text.replaceAll('|', '\\|')
  const rows = variablesOf().map(({ name, description, default: byDefault, isRequired }) => {
    const standard = isRequired ? 'required' : byDefault === undefined || textOf(byDefault) === '' ? '' : `\`${textOf(byDefault)}\``
    return `| \`${name}\` | ${cell(standard)} | ${cell(description)} |\n`
  })
  return `| variable | default | meaning |\n|---|---|---|\n${rows.join('')}`
}

/** Replaces the table in docs/configuration.md. */
export function withConfigurationTable (page: string): string {
  const table = /^\| variable \| default \| meaning \|\n(?:\|.*\n)*/m
  if (!table.test(page)) throw new Error('docs/configuration.md has no table that begins with "| variable | default | meaning |"')
  return page.replace(table, () => makeConfigurationTable())
}

if (import.meta.main) {
  readOptions(HELP)
  endOnSignals()
  writeFileSync(ENV_EXAMPLE, makeEnvExample())
  writeFileSync(PAGE, withConfigurationTable(readFileSync(PAGE, 'utf8')))
  console.log('.env.example, docs/configuration.md')
}
