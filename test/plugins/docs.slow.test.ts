import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { DOCUMENTS_DIR } from '../../scripts/client/document.ts'

// Redocly's linter on the documents of the API, as in `npm run check`, and on copies with planted violations.

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

interface Operation { operationId: string, tags: string[], security?: object[], requestBody?: { content: Record<string, { schema: object }> } }
interface Document { paths: Record<string, Record<string, Operation>>, components: { responses: Record<string, { content: Record<string, { example?: unknown }> }> } }

async function lint (file: string): Promise<{ errors: number, rules: string[] }> {
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const args = ['node_modules/@redocly/cli/bin/cli.js', 'lint', file, '--config', 'redocly.yaml', '--format', 'json']
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, env }).catch((error: { stdout: string }) => error)
  const { totals, problems } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { totals: { errors: number, warnings: number }, problems: { ruleId: string }[] }
  return { errors: totals.errors + totals.warnings, rules: problems.map(({ ruleId }) => ruleId) }
}

t.test('the linter finds nothing in the documents', async t => {
  for (const version of ['v1', 'v2']) t.same(await lint(join(DOCUMENTS_DIR, `${version}.json`)), { errors: 0, rules: [] }, version)
})

const PLANTED: Record<string, [rule: string, plant: (document: Document) => void]> = {
  'two operations of one id': ['operation-operationId-unique', ({ paths }) => { paths['/v2/users/me']!['get']!.operationId = 'users.create' }],
  'an operation that does not say what it needs': ['security-defined', ({ paths }) => { delete paths['/v2/users']!['post']!.security }],
  'a tag that nothing explains': ['operation-tag-defined', ({ paths }) => { paths['/v2/users']!['post']!.tags = ['unknown'] }],
  'a reference to nothing': ['no-unresolved-refs', ({ paths }) => { paths['/v2/users']!['post']!.requestBody!.content['application/json']!.schema = { $ref: '#/components/schemas/Nothing' } }],
  'an example that does not fit its schema': ['no-invalid-media-type-examples', ({ components }) => {
    components.responses['Forbidden']!.content['application/problem+json']!.example = { status: 'four hundred and four' }
  }],
  'a path parameter that is not declared': ['path-parameters-defined', ({ paths }) => { paths['/v2/users/{who}'] = paths['/v2/users/me']! }]
}
t.test('the linter bites', async t => {
  const v2 = await readFile(join(DOCUMENTS_DIR, 'v2.json'), 'utf8')
  const directory = await mkdtemp(join(tmpdir(), 'openapi-'))
  t.teardown(() => rm(directory, { recursive: true }))
  await Promise.all(Object.entries(PLANTED).map(async ([what, [rule, plant]], i) => {
    const document = JSON.parse(v2) as Document
    plant(document)
    const file = join(directory, `${i}.json`)
    await writeFile(file, JSON.stringify(document))
    t.ok((await lint(file)).rules.includes(rule), `${what}: ${rule}`)
  }))
})
