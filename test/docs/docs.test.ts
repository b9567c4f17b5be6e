import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { makeEnvExample, withConfigurationTable } from '../../scripts/env.ts'
import { ConfigSchema, loadConfig } from '../../src/plugins/config.ts'
import { anchorsOf, documents, ROOT, type Document } from './documents.ts'

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

/** The paths of ours that a document puts into code, and those of them that lead nowhere. What is in src may be named without it, and without `.ts`. */
function pathsOf ({ path, prose }: Pick<Document, 'path' | 'prose'>): { paths: number, missing: string[] } {
  // From the root of the project, or in an example from that of the example.
  const isThere = (pattern: string) => [ROOT, resolve(ROOT, dirname(path))].some(cwd => globSync(pattern, { cwd }).length > 0)
  const named = (folders: string) => [...prose.matchAll(new RegExp(`\`((?:${folders})/[\\w./*-]+)\``, 'g'))].map(([, code = '']) => code)
  const [whole, parts] = [named('src|local|scripts|test|docs|bench|examples|clients|hooks|\\.ci'), named('plugins|shared|server|modules')]
  const missing = [...whole.filter(code => !isThere(code)), ...parts.filter(code => !isThere(`src/${code}{,.ts}`))]
  return { paths: whole.length + parts.length, missing }
}

t.test('every path of ours that the documents put into code exists', async t => {
  const found = documents.map(document => ({ ...pathsOf(document), path: document.path }))
  t.strictSame(found.flatMap(({ path, missing }) => missing.map(code => `${path}: ${code}`)), [])
  const paths = found.reduce((sum, document) => sum + document.paths, 0)
  t.ok(paths > 10, `${paths} paths`)

  const planted = '`src/app.ts`, `plugins/keys`, `shared/ids`, `hooks/rotate`, `examples/*/README.md`, `src/gone.ts`, `plugins/gone`, `hooks/gone.mjs`, and `gone/file.ts` of another project'
  t.strictSame(pathsOf({ path: 'docs/planted.md', prose: planted }), { paths: 8, missing: ['src/gone.ts', 'hooks/gone.mjs', 'plugins/gone'] }, 'a path that leads nowhere is found')
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

const records = documents.filter(({ path }) => path.startsWith('docs/adr/'))
const RECORD = '\\[ADR \\d+\\]\\(\\d{4}-[\\w-]+\\.md\\)'
const RELATION = `(Revises|Revised by|Completes|Completed by) (${RECORD}(?:(?:, | and )${RECORD})*)(?:: [^.]+)?\\.`
const STATUS = new RegExp(`^Accepted, \\d{4}-\\d\\d-\\d\\d(?:; revised \\d{4}-\\d\\d-\\d\\d)?\\.(?: ${RELATION})*$`)
const COUNTERPART: Record<string, string> = { Revises: 'Revised by', Completes: 'Completed by', 'Revised by': 'Revises', 'Completed by': 'Completes' }

/** The line of a record below its title. */
const statusOf = (text: string): string => text.split('\n')[2] ?? ''

/** Relations between records that only one of the two states. */
function oneSided (records: Pick<Document, 'path' | 'text'>[]): string[] {
  const relations = records.flatMap(({ path, text }) => [...statusOf(text).matchAll(new RegExp(RELATION, 'g'))].flatMap(([, verb = '', others = '']) =>
    [...others.matchAll(/\((\d{4})-/g)].map(([, other = '']) => ({ record: /\d{4}/.exec(path)![0], verb, other }))))
  const stated = new Set(relations.map(({ record, verb, other }) => `${record} ${verb} ${other}`))
  return relations.map(({ record, verb, other }) => `${other} ${COUNTERPART[verb]} ${record}`).filter(relation => !stated.has(relation))
}

t.test('the records of decisions are numbered, and say what was decided', async t => {
  for (const { path, text } of records) {
    t.match(text, new RegExp(`^# ${Number(/\d{4}/.exec(path)![0])}\\. `), path)
    t.match(statusOf(text), STATUS, path)
    const sections = [...text.matchAll(/^## (.+)$/gm)].map(([, section = '']) => section)
    t.equal(sections[0], 'Context', path)
    t.ok(sections.includes('Decision'), path)
    t.ok(sections.slice(0, -1).every(section => !section.startsWith('Alternatives')), `${path}: alternatives come last`)
  }
  t.equal(new Set(records.map(({ path }) => /\d{4}/.exec(path)![0])).size, records.length, 'no number twice')
})

t.test('a record that changes another one, and the one that it changes, name each other', async t => {
  t.strictSame(oneSided(records), [])
  const relations = records.flatMap(({ text }) => statusOf(text).match(new RegExp(RELATION, 'g')) ?? [])
  t.ok(relations.length > 20, `${relations.length} relations`)

  const record = (number: number, relations: string) => ({ path: `docs/adr/000${number}-x.md`, text: `# ${number}. X\n\nAccepted, 2026-01-01.${relations}\n` })
  const older = record(1, ' Revised by [ADR 2](0002-x.md) and [ADR 3](0003-x.md).')
  t.strictSame(oneSided([older, record(2, ' Revises [ADR 1](0001-x.md): a part.'), record(3, ' Completes [ADR 2](0002-x.md). Revises [ADR 1](0001-x.md).')]), ['0002 Completed by 0003'], 'a missing counterpart is found')
  t.strictSame(oneSided([older, record(2, ''), record(3, ' Revises [ADR 1](0001-x.md).')]), ['0002 Revises 0001'], 'in both directions')
  t.notMatch(statusOf(record(2, ' Replaces [ADR 1](0001-x.md).').text), STATUS, 'another word for it is found')
})

t.test('a record that is named by its number exists, and a link to it has its number', async t => {
  const numbers = new Set(records.map(({ path }) => Number(/\d{4}/.exec(path)![0])))
  const sources = globSync(['{src,local,scripts,test,bench,hooks}/**/*.{ts,mjs,cjs}', '*.yaml', 'Dockerfile'], { cwd: ROOT, exclude: ['test/docs/**', 'bench/node_modules/**'] })
  const texts = [...documents, ...sources.map(path => ({ path, text: readFileSync(resolve(ROOT, path), 'utf8') }))]
  let named = 0
  for (const { path, text } of texts) {
    for (const [name, number, linked] of text.matchAll(/\bADR (\d+)(?:\]\([^)\s]*?(\d{4})-[\w-]+\.md)?/g)) {
      named++
      t.ok(numbers.has(Number(number)), `${path}: ${name}`)
      if (linked !== undefined) t.equal(Number(linked), Number(number), `${path}: ${name}`)
    }
  }
  t.ok(named > 200, `${named} names`)
})

t.test('the documents speak of the project alone', async t => {
  for (const { path, text } of documents) t.notMatch(text, /\/(?:work|root|home)\/|\bTODO\b|\bFIXME\b/, path)
})
