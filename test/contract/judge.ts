import { deref, type Operation } from '../../scripts/client/document.ts'
import type { WireResponse } from '../lambda/transports.ts'
import { validatorOf } from './schemas.ts'

/** Headers of some answers: those that came after the request was counted, that repeat an earlier one, that have a next page. */
const isOptional = (name: string, { path }: Operation) => /^(?:ratelimit|idempotent-replayed)/.test(name) || (name === 'link' && !path.startsWith('/v1/'))

/** Headers that say something about the operation, so its document must name them. */
const NAMED_HEADERS = ['etag', 'location', 'retry-after', 'www-authenticate', 'deprecation', 'sunset']

/** What is wrong with an answer; nothing when the document of its operation allows it. */
export function faultsOf (operation: Operation, { status, headers, body }: WireResponse): string[] {
  const documented = operation.responses[status]
  if (documented === undefined) return [`${status} is not documented: ${body.toString().slice(0, 300)}`]
  const wrong: string[] = []
  const names = Object.keys(documented.headers ?? {})
  for (const name of names) {
    const { required = true } = deref(operation.document, documented.headers![name]!) as { required?: boolean }
    if (required && headers[name.toLowerCase()] === undefined && !isOptional(name.toLowerCase(), operation)) wrong.push(`${name.toLowerCase()} is missing`)
  }
  for (const name of NAMED_HEADERS) if (headers[name] !== undefined && !names.some(known => known.toLowerCase() === name)) wrong.push(`${name} is not documented`)
  if (documented.content === undefined) return body.length === 0 ? wrong : [...wrong, 'a body is not documented']
  const type = headers['content-type']?.split(';')[0] ?? ''
  const media = documented.content[type]
  if (media === undefined) return [...wrong, `${type || 'a body of no type'} is not documented`]
  const validate = validatorOf(operation.document, media.schema)
  if (validate(JSON.parse(body.toString()))) return wrong
  return [...wrong, ...validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)]
}
