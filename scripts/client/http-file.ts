import { givenVariables, orderedOperations, samplesOf, type SampleRequest } from './requests.ts'
import type { Document } from './document.ts'

/** `auth.createTokens (code)` as the name of a request: `authCreateTokensCode`. */
const camelCase = (name: string) => name.replace(/[^A-Za-z0-9]+(\w)?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? '')

/** Where a later request reads the variable, in the syntax of the editors. */
const reference = (request: SampleRequest, place: string) => `{{${camelCase(request.name)}.response.${place.replace(/^body/, 'body.$').replace('.items.at(-1)?', '.items[0]')}}}`

function requestText (request: SampleRequest): string {
  const { operation, name, path, query, headers, body } = request
  const required = query.filter(({ isOptional }) => !isOptional)
  const target = required.length === 0 ? path : `${path}?${required.map(({ name, value }) => `${name}=${value}`).join('&')}`
  const optional = query.filter(({ isOptional }) => isOptional).map(({ name, value }) => `# optional: ${name}=${value}\n`).join('')
  const lines = [
    `${operation.method} {{baseUrl}}${target}`,
    ...(operation.isSecured ? ['authorization: Bearer {{accessToken}}'] : []),
    ...(operation.body === undefined ? [] : [`content-type: ${operation.body.contentType}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`)
  ]
  return `### ${operation.summary}: ${operation.id}
# @name ${camelCase(name)}
${optional}${lines.join('\n')}
${body === undefined ? '' : `\n${JSON.stringify(body, undefined, 2)}\n`}`
}

/**
 * A document's operations as a `.http` file, in the syntax that VS Code (REST Client), Visual Studio and httpYac share:
 * `# @name` names a request, and later ones read its answer.
 */
export function makeHttpFile (document: Document, source: string): string {
  const requests = orderedOperations(document).flatMap(samplesOf)
  const set = new Set<string>()
  const parts = requests.map(request => {
    // The editors keep one value of a variable for the whole file, so it has one source.
    const news = request.captures.filter(([variable]) => !set.has(variable))
    for (const [variable] of news) set.add(variable)
    const lines = news.map(([variable, place]) => `@${variable} = ${reference(request, place)}\n`)
    return `${requestText(request)}${lines.length === 0 ? '' : `\n### Values for later requests\n${lines.join('')}`}`
  })
  return `# ${document.info.title}. Generated from docs/openapi/${source} by npm run client.
# Send the requests from top to bottom. The code comes by mail: read it in the inbox, and put it in here.

@baseUrl = http://localhost:3000
@inbox = http://localhost:1080
@email = ada@example.com
@code = 00000000
${Object.entries(givenVariables(requests)).map(([name, value]) => `@${name} = ${value}\n`).join('')}
### The mails of npm start
GET {{inbox}}/api/email

${parts.join('\n')}`
}
