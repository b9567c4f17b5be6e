import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { ADVICE, BY_STATUS } from '../../scripts/error-advice.ts'
import { makeErrorReference, type Document } from '../../scripts/error-reference.ts'
import { anchorsOf, documents, ROOT } from './documents.ts'

// That docs/errors.md is what the documents make is checked with them, in test/plugins/docs.test.ts.

const read = (file: string) => readFileSync(resolve(ROOT, file), 'utf8')
const api = (version: string) => JSON.parse(read(`docs/openapi/${version}.json`)) as Document
const template = read('template.yaml')

t.test('every code of the document has an anchor and says what to do, and no advice is about a code that has gone', async t => {
  const page = documents.find(({ path }) => path === 'docs/errors.md')!
  const codes = api('v2').components.schemas['Problem']!.properties!.code!.enum!
  t.ok(codes.length > 20, `${codes.length} codes`)
  const anchors = anchorsOf(page)
  for (const code of codes) t.ok(anchors.includes(code.toLowerCase()), code)
  const sections = page.text.split(/^### /m).slice(1)
  for (const section of sections) t.match(section, /^`[A-Z0-9_]+`\n\nStatus [45]\d\d, [^\n]+\n\n- \*\*Do:\*\* \S[^\n]+\n- \*\*Where:\*\* \S/)
  t.same(Object.keys(ADVICE).filter(code => !anchors.includes(code.toLowerCase())), [])
})

t.test('status and meaning that are written by hand are those of the source', async t => {
  const source = ['framework-errors.ts', 'send-error.ts'].map(file => read(`src/plugins/errors/${file}`)).join('\n')
  const written = Object.entries(ADVICE).filter(([, { status }]) => status !== undefined)
  t.equal(written.length, 4)
  for (const [code, { status, meaning }] of written) t.match(source, new RegExp(`\\[${status}, '[^']+', '${code}', '${meaning}'\\]`), code)
})

t.test('a new code that a route declares gets the advice of its status; one that nothing describes is an error', async t => {
  const v1 = api('v1')
  const v2 = api('v2')
  const { enum: codes } = v2.components.schemas['Problem']!.properties!.code as { enum: string[] }
  codes.push('PLANTED_CLOSED')
  t.throws(() => makeErrorReference({ v1, v2 }, template), /^PLANTED_CLOSED is in no example/)
  v2.paths['/v2/planted'] = { post: { operationId: 'planted.create', responses: { 409: { content: { 'application/problem+json': { example: { status: 409, code: 'PLANTED_CLOSED', detail: 'It is closed' } } } } } } }
  const page = makeErrorReference({ v1, v2 }, template)
  t.match(page, `### \`PLANTED_CLOSED\`

Status 409, \`urn:user-service:problem:planted-closed\`. It is closed.

- **Do:** ${BY_STATUS[409]}
- **Where:** v2: \`planted.create\`.
`)
})
