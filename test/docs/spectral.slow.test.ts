import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

type Part = Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any -- parts of any document

/** The rules that documents break, by the name of their file. */
async function lint (files: string[]): Promise<Map<string, Set<string>>> {
  const args = ['node_modules/@stoplight/spectral-cli/dist/index.js', 'lint', ...files, '--fail-severity', 'hint', '--format', 'json', '--quiet']
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 }).catch((error: { stdout: string }) => error)
  const broken = new Map<string, Set<string>>()
  for (const { code, source } of JSON.parse(stdout) as { code: string, source: string }[]) {
    const name = basename(source)
    broken.set(name, (broken.get(name) ?? new Set()).add(code))
  }
  return broken
}

const read = async (file: string) => JSON.parse(await readFile(join(ROOT, 'docs', file), 'utf8')) as Part

t.test('Spectral finds nothing in the documents', async t => {
  t.same([...await lint(['docs/openapi/v1.json', 'docs/openapi/v2.json', 'docs/asyncapi.json'])], [])
})

const OPENAPI: Record<string, [rule: string, plant: (document: Part) => void]> = {
  'a write that needs no token': ['owasp:api2:2023-write-restricted', ({ paths }) => { paths['/v2/users/me'].delete.security = [] }],
  'a read that needs no token': ['owasp:api2:2023-read-restricted', ({ paths }) => { paths['/v2/users/me'].get.security = [] }],
  'a string of any length': ['owasp:api4:2023-string-limit', ({ components }) => { delete components.schemas.Registration.properties.email.maxLength }],
  'a string of any form': ['owasp:api4:2023-string-restricted', ({ components }) => { delete components.schemas.User.properties.email.pattern }],
  'an integer of any size': ['owasp:api4:2023-integer-limit', ({ components }) => { delete components.schemas.User.properties.version.maximum }],
  'a list of any length': ['owasp:api4:2023-array-limit', ({ components }) => { delete components.schemas.Problem.properties.errors.maxItems }],
  'a protected operation without 401': ['owasp:api8:2023-define-error-responses-401', ({ paths }) => { delete paths['/v2/users/me'].patch.responses['401'] }],
  'an operation without 500': ['owasp:api8:2023-define-error-responses-500', ({ paths }) => { delete paths['/v2/users'].post.responses['500'] }],
  'an operation without a limit': ['owasp:api4:2023-rate-limit-responses-429', ({ paths }) => { delete paths['/v2/users'].post.responses['429'] }],
  'a 429 without a time': ['owasp:api4:2023-rate-limit-retry-after', ({ components }) => { delete components.responses.TooManyRequests.headers['Retry-After'] }],
  'an answer without its limit': ['owasp:api4:2023-rate-limit', ({ paths }) => { delete paths['/v2/users/me'].get.responses['200'].headers['RateLimit-Limit']; delete paths['/v2/users/me'].get.responses['200'].headers['RateLimit'] }],
  'an operation without a description': ['operation-description', ({ paths }) => { delete paths['/v2/users'].post.description }],
  'an example that does not fit': ['oas3-valid-media-example', ({ paths }) => { paths['/v2/users/me'].get.responses['200'].content['application/json'].example.version = 'one' }]
}

const ASYNCAPI: Record<string, [rule: string, plant: (document: Part) => void]> = {
  'a channel that no server has': ['invalid-ref', ({ channels }) => { channels.events.servers = [{ $ref: '#/servers/none' }] }],
  'an operation without a channel': ['asyncapi-3-document-resolved', ({ operations }) => { delete Object.values(operations as Record<string, Part>)[0]!['channel'] }],
  'a document that does not say what it is': ['asyncapi-info-description', ({ info }) => { delete info.description }]
}

// Linting a document takes a second or two, so that all violations are planted into one copy. None of these rules is
// broken in the original.
t.test('Spectral bites', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'spectral-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const planted = [['openapi/v2.json', OPENAPI], ['asyncapi.json', ASYNCAPI]] as const
  const files = await Promise.all(planted.map(async ([file, violations]) => {
    const document = await read(file)
    for (const [, plant] of Object.values(violations)) plant(document)
    const path = join(directory, basename(file))
    await writeFile(path, JSON.stringify(document))
    return path
  }))
  const broken = await lint(files)
  for (const [file, violations] of planted) {
    const rules = [...broken.get(basename(file)) ?? []]
    for (const [what, [rule]] of Object.entries(violations)) t.ok(rules.includes(rule), `${what}: ${rule}; found ${rules.join(', ')}`)
  }
})
