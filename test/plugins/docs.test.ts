import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t from 'tap'
import { makeDocuments } from '../../scripts/openapi.ts'
import { deref, documents, namesOf, operations } from './api-documents.ts'

// The documents themselves. How the running service serves them is in docs-served.test.ts.

const ROOT = resolve(import.meta.dirname, '../..')

t.test('the committed documents are what the routes make, byte for byte', async t => {
  const made = await makeDocuments()
  for (const [file, text] of Object.entries(made)) {
    t.equal(await readFile(join(ROOT, 'docs', file), 'utf8'), text, `${file} (out of step? npm run openapi)`)
  }
  t.same(globSync('docs/schemas/*', { cwd: ROOT }).sort(), Object.keys(made).filter(file => file.startsWith('schemas/')).map(file => `docs/${file}`).sort())
})

t.test('every operation says what it is, what it needs and what it may answer', async t => {
  for (const { document, path, method, operation } of operations) {
    const name = `${method} ${path}`
    const statuses = Object.keys(operation.responses).map(Number)
    const answers = (status: number) => statuses.includes(status)
    t.ok(operation.operationId && operation.summary && operation.description && operation.tags.length === 1, `${name} has an id, a summary, a description and a tag`)
    t.ok(statuses.some(status => status < 400), `${name} can succeed`)
    t.equal(operation.deprecated === true, path.startsWith('/v1/'), `${name} is deprecated when it is version 1`)
    t.equal(operation.security.length > 0, answers(401) && !/\/auth\/(?:tokens|verify)$/.test(path), `${name} is documented as secured when it is`)
    t.equal(answers(429), !path.includes('/health'), `${name} documents its limit`)
    for (const status of [400, 500]) t.ok(answers(status), `${name} documents ${status}`)
    if (method !== 'get') for (const status of [413, 415, 429, 503]) t.ok(answers(status), `${name} documents ${status}`)
    for (const media of Object.values(operation.requestBody?.content ?? {})) t.ok(media.example ?? media.examples, `${name} has an example of its body`)
    for (const [status, reference] of Object.entries(operation.responses)) {
      const response = deref(document, reference)
      const headers = namesOf(response)
      t.ok(headers.includes('x-correlation-id'), `${name} ${status} carries the correlation id`)
      if (path.startsWith('/v1/')) for (const header of ['deprecation', 'sunset', 'link']) t.ok(headers.includes(header), `${name} ${status} carries ${header}`)
      if (status === '401') t.ok(headers.includes('www-authenticate'))
      if (status === '429' || (status === '503' && !path.includes('/health'))) t.ok(headers.includes('retry-after'))
      t.not(response.description, 'Default Response')
      for (const media of Object.values(response.content ?? {})) t.ok(media.example ?? media.examples, `${name} has an example of its ${status}`)
      if (Number(status) < 400 || path.includes('/health')) continue
      t.same(Object.entries(response.content ?? {}).map(([type, { schema }]) => [type, schema]), path.startsWith('/v1/')
        ? [['application/json', { $ref: '#/components/schemas/Failure' }]]
        : [['application/problem+json', { $ref: '#/components/schemas/Problem' }]], `${name} ${status} has the version's shape of a failure`)
    }
  }
})

t.test('the documents say nothing of the machine they were made on', async t => {
  for (const document of Object.values(documents)) {
    t.same(document.servers, [{ url: '/', 'x-internal': false }])
    t.notMatch(JSON.stringify(document), /localhost|127\.0\.0\.1/)
    t.match(document.info, { license: { name: 'MIT' }, contact: { name: /./ }, description: /./ })
  }
})
