import { parseTemplate } from '../local/template.ts'
import * as shared from '../src/shared/errors.ts'
import { typeOf } from '../src/shared/problem.ts'
import { ADVICE, BY_STATUS } from './error-advice.ts'

interface Example { status?: number, code?: string, detail?: string, error?: string }
interface Media { example?: Example, examples?: Record<string, { value: Example }> }
interface Response { $ref?: string, content?: Record<string, Media> }
interface Operation { operationId: string, security?: object[], responses: Record<string, Response> }
/** The parts of an OpenAPI document that this file uses. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { responses: Record<string, Response>, schemas: Record<string, { properties?: { code?: { enum?: string[] } } }> }
}

interface Fact { status: number, detail: string }

const FAILURE = 400
const TOO_MANY = 429

const INTRODUCTION = `# Errors

\`npm run openapi\` makes this page from the API documents and \`scripts/error-advice.ts\`.

An error of v2, and of the paths without a version, is \`application/problem+json\` (RFC 9457):

| member | meaning |
|---|---|
| \`code\` | what happened. Stable: programs should look at it, and at nothing else |
| \`status\`, \`title\` | the HTTP status, as a number and in words |
| \`detail\` | what is wrong with this request, in English, for developers. The text may change |
| \`errors\` | the invalid fields, each with a \`pointer\` and a \`detail\`; only with \`VALIDATION_FAILED\` |
| \`type\` | a URN made from \`code\`: \`USERS_NOT_FOUND\` is \`urn:user-service:problem:users-not-found\` |
| \`instance\` | the path of the request |
| \`correlationId\` | names the request in the logs. Quote it when you report a problem |

v1 answers with the same status and \`{"success": false, "error": "…", "correlationId": "…"}\`, without a code. \`error\` is the text of \`detail\`. When v1 is switched off, each of its paths answers 410.

New codes may be added at any time. Treat an unknown code by its status. On AWS, API Gateway answers some requests by itself: a REST API with a problem, an HTTP API with \`{"message": "…"}\`. An answer without a code comes from it, or from a proxy.
`

const examplesOf = ({ content = {} }: Response): Example[] => Object.values(content).flatMap(({ example, examples = {} }) => [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)])

const operationsOf = ({ paths }: Document) => Object.values(paths).flatMap(methods => Object.entries(methods).map(([method, operation]) => ({ method, ...operation })))

/** The failures of an operation: those that it declares, and those that it shares with others by their name. */
function * failuresOf ({ responses }: Operation): Generator<{ status: number, shared?: string, examples: Example[] }> {
  for (const [key, response] of Object.entries(responses)) {
    const status = Number(key)
    if (status < FAILURE) continue
    yield response.$ref === undefined ? { status, examples: examplesOf(response) } : { status, shared: response.$ref.split('/').at(-1)!, examples: [] }
  }
}

/** The problems that the gateway on AWS answers by itself. The service does not see those requests. */
function gatewayProblems (template: string): Example[] {
  const { Resources } = parseTemplate(template) as unknown as { Resources: Record<string, { Properties: { DefinitionBody?: Record<string, Record<string, { responseTemplates: Record<string, string> }>> } }> }
  const answers = Resources['Api']?.Properties.DefinitionBody?.['x-amazon-apigateway-gateway-responses'] ?? {}
  return Object.values(answers).map(({ responseTemplates }) => JSON.parse(responseTemplates['application/json']!) as Example)
}

/** Errors of `src/shared/errors.ts`, by code, for those that no operation shows. */
function sharedErrors (): Map<string, Fact> {
  const found = new Map<string, Fact>()
  for (const value of Object.values(shared)) {
    if (typeof value !== 'function' || !('prototype' in value) || !(value.prototype instanceof Error)) continue
    const { code, status, detail } = shared.exampleOf(value as unknown as shared.ErrorClass)
    found.set(code, { status, detail })
  }
  return found
}

/** Says which of a version's operations these are, without listing nearly all of them. */
function describe (ids: Set<string>, operations: { operationId: string, method: string, security?: object[] }[]): string {
  const groups: [string, (operation: { method: string, security?: object[] }) => boolean][] = [
    ['every operation', () => true],
    ['every operation that needs an access token', ({ security = [] }) => security.length > 0],
    ['every operation that is not a `GET`', ({ method }) => method !== 'get']
  ]
  for (const [name, belongs] of groups) {
    const group = operations.filter(belongs).map(({ operationId }) => operationId)
    const missing = group.filter(id => !ids.has(id))
    if (ids.size < 5 || missing.length > 4 || [...ids].some(id => !group.includes(id))) continue
    return missing.length === 0 ? name : `${name}, except ${missing.map(id => `\`${id}\``).join(', ')}`
  }
  return [...ids].sort().map(id => `\`${id}\``).join(', ')
}

/**
 * The page of all codes that the documents list.
 *
 * @param documents by version, as `npm run openapi` makes them
 * @param template the text of template.yaml, with the gateway's own answers
 */
export function makeErrorReference ({ v1, v2 }: { v1: Document, v2: Document }, template: string): string {
  const codes = v2.components.schemas['Problem']?.properties?.code?.enum ?? []
  const ofShared = new Map(Object.entries(v2.components.responses).map(([name, response]) => [name, examplesOf(response)[0]!.code!]))
  const own = sharedErrors()

  const shown = new Map<string, Fact>()
  const users = { v1: new Map<string, Set<string>>(), v2: new Map<string, Set<string>>() }
  const add = (version: 'v1' | 'v2', code: string, { operationId }: Operation) => {
    const ids = users[version].get(code) ?? new Set()
    users[version].set(code, ids.add(operationId))
  }
  const learn = ({ status, code, detail }: Example) => shown.set(code!, { status: status!, detail: detail! })

  for (const response of Object.values(v2.components.responses)) examplesOf(response).forEach(example => learn(example))
  for (const operation of operationsOf(v2)) {
    for (const { status, shared: name, examples } of failuresOf(operation)) {
      if (name !== undefined) add('v2', ofShared.get(name)!, operation)
      // A limit of a module is beside that of the client.
      else if (status === TOO_MANY) add('v2', ofShared.get('TooManyRequests')!, operation)
      for (const example of examples) {
        // The answer of a health check is no problem.
        if (example.code === undefined) continue
        learn(example)
        add('v2', example.code, operation)
      }
    }
  }
  const byText = new Map([...shown].map(([code, { detail }]) => [detail, code]))
  for (const operation of operationsOf(v1)) {
    for (const { status, shared: name, examples } of failuresOf(operation)) {
      if (name !== undefined) add('v1', ofShared.get(name)!, operation)
      else if (status === TOO_MANY) add('v1', ofShared.get('TooManyRequests')!, operation)
      for (const { error } of examples) {
        const code = byText.get(error ?? '')
        if (code !== undefined) add('v1', code, operation)
      }
    }
  }

  function entryOf (code: string) {
    const advice = ADVICE[code]
    const fact = shown.get(code) ?? own.get(code)
    const status = advice?.status ?? fact?.status
    const meaning = advice?.meaning ?? fact?.detail
    if (status === undefined || meaning === undefined) throw new Error(`${code} is in no example of the documents: scripts/error-advice.ts must say its status and its meaning`)
    const what = advice?.do ?? BY_STATUS[status] ?? 'Report it with the `correlationId`.'
    const where = (['v2', 'v1'] as const).flatMap(version => {
      const ids = users[version].get(code)
      return ids === undefined ? [] : [`${version}: ${describe(ids, operationsOf(version === 'v1' ? v1 : v2))}`]
    })
    const elsewhere = codes.includes(code) ? 'any request' : 'any request to a REST API on AWS; answered by API Gateway, not by the service'
    return { code, status, meaning: meaning.replace(/\.$/, ''), what, where: where.length === 0 ? elsewhere : where.join('. ') }
  }

  const ofGateway = gatewayProblems(template).filter(({ code }) => !codes.includes(code!))
  for (const problem of ofGateway) learn(problem)

  const entries = [...codes, ...ofGateway.map(({ code }) => code!).sort()].map(entryOf)
  const statuses = [...new Set(entries.map(({ status }) => status))].sort((a, b) => a - b)
  const overview = statuses.map(status => `| ${status} | ${entries.filter(entry => entry.status === status).map(({ code }) => `[\`${code}\`](#${code.toLowerCase()})`).join(', ')} |`)
  const sections = entries.map(({ code, status, meaning, what, where }) => `### \`${code}\`

Status ${status}, \`${typeOf(code)}\`. ${meaning}.

- **Do:** ${what}
- **Where:** ${where}.
`)
  return `${INTRODUCTION}
## By status

| status | codes |
|---|---|
${overview.join('\n')}

## Codes

${sections.join('\n')}`
}
