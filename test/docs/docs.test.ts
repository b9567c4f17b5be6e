import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { makeEnvExample, withConfigurationTable } from '../../scripts/env.ts'
import { ConfigSchema, loadConfig } from '../../src/plugins/config.ts'
import { anchorsOf, documents, ROOT } from './documents.ts'

t.test('the documents are there, and were looked at', async t => {
  const paths = documents.map(({ path }) => path)
  for (const path of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/architecture.md', 'docs/promises.md', 'examples/second-service/README.md', 'clients/typescript/README.md', 'docs/adr/0001-one-app-whose-modules-can-leave.md']) t.ok(paths.includes(path), path)
})

t.test('every relative link leads somewhere, its anchor included', async t => {
  let links = 0
  for (const document of documents) {
    for (const [, target = ''] of document.prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [file = '', anchor] = target.split('#')
      const path = file === '' ? document.path : join(dirname(document.path), file)
      t.ok(existsSync(resolve(ROOT, path)), `${document.path}: ${target}`)
      t.notMatch(relative(ROOT, resolve(ROOT, path)), /^\.\./, `${document.path}: ${target} is in the project`)
      const linked = documents.find(other => other.path === path)
      if (anchor !== undefined && linked !== undefined) t.ok(anchorsOf(linked).includes(anchor), `${document.path}: ${target}`)
    }
  }
  t.ok(links > 10, `${links} links`)
})

t.test('every npm command in the documents exists', async t => {
  const { scripts } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  let commands = 0
  for (const { path, text } of documents) {
    for (const [, name = ''] of text.matchAll(/\bnpm (?:run )?(start|test|(?<=run )[\w:-]+)/g)) {
      commands++
      t.ok(name in scripts, `${path}: npm run ${name}`)
    }
  }
  t.ok(commands > 10, `${commands} commands`)
  for (const [name, command] of Object.entries(scripts)) {
    const script = / (\S+\.ts)$/.exec(command)?.[1]
    if (script !== undefined) t.ok(existsSync(resolve(ROOT, script)), `npm run ${name}: ${script}`)
  }
})

// Of other programs: what they mean is not ours to check.
const FOREIGN = new Set(['NODE_COMPILE_CACHE', 'DOCKER_HOST'])

t.test('every name in capitals that the documents put into code exists: variables, codes, resources', async t => {
  const sources = globSync(['src/**/*.ts', 'local/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts', 'examples/**/*.ts', 'template.yaml', '.ci/*', '.github/**/*.yml'], { cwd: ROOT }).filter(file => !file.startsWith('test/docs/') && statSync(resolve(ROOT, file)).isFile()).map(file => readFileSync(resolve(ROOT, file), 'utf8')).join('\n')
  const known = new Set(sources.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g))
  let names = 0
  for (const { path, prose } of documents) {
    for (const [, code = ''] of prose.matchAll(/`([^`\n]+)`/g)) {
      for (const name of code.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []) {
        if (FOREIGN.has(name)) continue
        names++
        t.ok(known.has(name), `${path}: ${name}`)
      }
    }
  }
  t.ok(names > 20, `${names} names`)
})

t.test('every path of ours that the documents put into code exists', async t => {
  let paths = 0
  for (const { path, prose } of documents) {
    for (const [, code = ''] of prose.matchAll(/`((?:src|local|scripts|test|docs|bench|examples|clients|\.ci)\/[\w./*-]+)`/g)) {
      paths++
      // From the root of the project, or in an example from that of the example.
      const isThere = [ROOT, resolve(ROOT, dirname(path))].some(cwd => globSync(code, { cwd }).length > 0)
      t.ok(isThere, `${path}: ${code}`)
    }
  }
  t.ok(paths > 10, `${paths} paths`)
})

t.test('the table of docs/configuration.md and .env.example are what npm run env writes', async t => {
  const page = readFileSync(resolve(ROOT, 'docs/configuration.md'), 'utf8')
  t.equal(page, withConfigurationTable(page), 'docs/configuration.md differs from the schema: npm run env writes its table')
  t.equal(readFileSync(resolve(ROOT, '.env.example'), 'utf8'), makeEnvExample(), '.env.example differs from the schema: npm run env writes it')
  for (const name of Object.keys(ConfigSchema.properties)) {
    t.match(page, `| \`${name}\` |`)
    t.match(makeEnvExample(), new RegExp(`^(?:# )?${name}=`, 'm'))
  }
})

t.test('a copy of .env.example needs nothing but a secret, and each of its examples is a good one', async t => {
  const example = readFileSync(resolve(ROOT, '.env.example'), 'utf8')
  t.throws(() => loadConfig(parseEnv(example)), { message: /^Configuration: JWT_SECRET is missing [^;]+$/ })
  t.doesNotThrow(() => loadConfig({ ...parseEnv(example), JWT_SECRET: 'a root secret of more than 32 characters' }))
  const all = parseEnv(example.replace(/^# ([A-Z_0-9]+=)/gm, '$1'))
  t.same(Object.keys(all).sort(), Object.keys(ConfigSchema.properties).sort())
  t.doesNotThrow(() => loadConfig(all))
})

/** Versions of a changelog that have no notes. */
function withoutNotes (changelog: string, upgrade: string): string[] {
  const notes = [...upgrade.slice(upgrade.indexOf('\n## Notes\n')).matchAll(/^### (.+)$/gm)].map(([, version]) => version)
  return [...changelog.matchAll(/^## \[([^\]]+)\]/gm)].map(([, version = '']) => version).filter(version => !notes.includes(version))
}

t.test('every version of the changelog has its notes for those who take it', async t => {
  const text = (path: string) => documents.find(document => document.path === path)!.text
  t.strictSame(withoutNotes(text('CHANGELOG.md'), text('docs/upgrade.md')), [])
  t.strictSame(withoutNotes('## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n', text('docs/upgrade.md')), ['0.2.0'], 'a version without notes is found')
})

t.test('the records of decisions are numbered, and say what was decided', async t => {
  const records = documents.filter(({ path }) => path.startsWith('docs/adr/'))
  for (const { path, text } of records) {
    t.match(text, new RegExp(`^# ${Number(/\d{4}/.exec(path)![0])}\\. `), path)
    t.match(text, /^Accepted, \d{4}-\d\d-\d\d(?:; revised \d{4}-\d\d-\d\d)?\./m, path)
  }
  t.equal(new Set(records.map(({ path }) => /\d{4}/.exec(path)![0])).size, records.length, 'no number twice')
})

t.test('the documents speak of the project alone', async t => {
  for (const { path, text } of documents) t.notMatch(text, /\/(?:work|root|home)\/|\bTODO\b|\bFIXME\b/, path)
})
