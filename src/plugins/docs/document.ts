import { STATUS_CODES } from 'node:http'
import { Failure } from '../../shared/envelope.ts'
import { EXAMPLE_ID } from '../../shared/ids.ts'
import { Problem, renderFault } from '../../shared/problem.ts'
import { FRAMEWORK_CODES } from '../errors/framework-errors.ts'
import { SHARED_CODES } from '../errors/send-error.ts'
import type { Version } from '../versions.ts'
import type { Tag } from './api-text.ts'
import { examplesOf } from './examples.ts'
import { COMMON_HEADERS, headerReferences, HEADERS, HEADERS_V1, LIMIT_HEADERS, namedHeaders } from './headers.ts'
import { createHoister, referenced } from './hoist.ts'
import type { Document, Media, Reference, Response } from './openapi.ts'
import type { Schema } from './readable.ts'
import { SHARED_FAULTS } from './shared-faults.ts'

const FAULT_MEDIA_TYPE = { v1: 'application/json', v2: 'application/problem+json' }

/** `NOT_FOUND` as the name of a component: `NotFound`. */
const componentName = (code: string) => code.toLowerCase().replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

export interface DocumentOptions {
  version: Version
  tags: Tag[]
  /** paths without a rate limit */
  unlimited: ReadonlySet<string>
}

/**
 * Completes a document made from routes: names its schemas, and adds to every operation what all operations have in
 * common, so that a route declares only its own part.
 */
export function finishDocument (document: Document, { version, tags, unlimited }: DocumentOptions): Document & { tags: Tag[] } {
  const { hoisted, hoist } = createHoister(document.components.schemas)
  const mediaType = FAULT_MEDIA_TYPE[version]
  const faultSchema = hoist(version === 'v1' ? Failure : Problem)
  const lifecycle = version === 'v1' ? Object.keys(HEADERS_V1) : []
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation, limited: !unlimited.has(path) })))

  // Examples use values of this document: its first path, and the first required field of its bodies.
  const instance = operations[0]?.path ?? '/'
  const bodies = operations.flatMap(({ operation }) => Object.values(operation.requestBody?.content ?? {}))
  const field = bodies.flatMap(({ schema }) => (schema['required'] as string[] | undefined) ?? [])[0] ?? 'field'
  const placed = (example: unknown) => version === 'v1' ? example : { ...example as object, instance }

  const responses: Record<string, object> = {}
  function sharedResponse (status: string): Reference {
    const { name, description, error, headers = [] } = SHARED_FAULTS[Number(status)]!
    const { code, message, errors } = error(field)
    codes.add(code!)
    const { body } = renderFault({ status: Number(status), code: code!, detail: message, instance, correlationId: EXAMPLE_ID, errors }, version)
    responses[name] = {
      description,
      headers: headerReferences([...COMMON_HEADERS, ...headers, ...LIMIT_HEADERS, ...lifecycle]),
      content: { [mediaType]: { schema: faultSchema, example: body } }
    }
    return { $ref: `#/components/responses/${name}` }
  }

  /** Moves the named schemas of a body to the components, and gives the body an example if its route has none. */
  function complete (media: Media): void {
    media.schema = hoist(media.schema)
    if (media.example === undefined && media.examples === undefined) Object.assign(media, examplesOf(media.schema, hoisted))
  }

  const codes = new Set([...FRAMEWORK_CODES, ...SHARED_CODES])
  /** Lists the codes of all failures in the schema of a problem. */
  function listCodes (): void {
    const { code } = hoisted[Problem.title!]!['properties'] as Record<string, Schema>
    const { description, examples } = code!
    ;(hoisted[Problem.title!]!['properties'] as Record<string, Schema>)['code'] = { type: 'string', enum: [...codes].sort(), description, examples }
  }

  /** A failure that a route declares, with examples if it names its errors; `undefined` when the response is not a failure. */
  function declaredFault (response: Response): Response | undefined {
    const media = Object.values(response.content ?? {}).find(({ schema }) => schema['title'] === (version === 'v1' ? Failure : Problem).title)
    if (media === undefined) return undefined
    const { schema, example, examples } = media
    const declared = schema['x-codes'] as string[] | undefined
    for (const code of declared ?? []) codes.add(code)
    const shown = examples === undefined
      ? example === undefined ? {} : { example: placed(example) }
      : { examples: Object.fromEntries(Object.values(examples).map(({ value }, i) => [componentName(declared![i]!), { value: placed(value) }])) }
    return { ...response, content: { [mediaType]: { schema: faultSchema, ...shown } } }
  }

  for (const { method, operation, limited } of operations) {
    const common = headerReferences([...COMMON_HEADERS, ...(limited ? LIMIT_HEADERS : []), ...lifecycle])
    for (const [status, response] of Object.entries(operation.responses)) {
      if ('$ref' in response) continue
      const unsaid = response.description === 'Default Response'
      if (unsaid && SHARED_FAULTS[Number(status)] !== undefined) {
        operation.responses[status] = sharedResponse(status)
        continue
      }
      if (unsaid) response.description = STATUS_CODES[status]!
      const own = Object.entries(response.headers ?? {}).map(([name, header]) => [name, hoist(header as Schema)] as const)
      response.headers = { ...namedHeaders(Object.fromEntries(own)), ...common, ...headerReferences(SHARED_FAULTS[Number(status)]?.headers ?? []) }
      const declared = declaredFault(response)
      if (declared !== undefined) operation.responses[status] = declared
      else for (const media of Object.values(response.content ?? {})) complete(media)
    }
    for (const [status, { applies }] of Object.entries(SHARED_FAULTS)) {
      if (applies?.(operation, method, limited) === true) operation.responses[status] ??= sharedResponse(status)
    }
    for (const media of Object.values(operation.requestBody?.content ?? {})) complete(media)
    for (const parameter of operation.parameters ?? []) {
      parameter.schema = hoist(parameter.schema)
      // Swagger UI would send it: an ETag of no version, a key that was used before, a cursor of no page.
      if (parameter.required !== true) delete parameter.example
    }
    operation.security ??= []
    if (version === 'v1') operation.deprecated = true
  }
  const headers = hoist(namedHeaders({ ...HEADERS, ...(version === 'v1' ? HEADERS_V1 : {}) }) as Schema) as Record<string, object>
  if (version === 'v2') listCodes()
  const used = tags.filter(({ name }) => operations.some(({ operation }) => operation.tags?.includes(name) === true))
  return { ...document, tags: used, components: { ...document.components, headers, responses, schemas: referenced({ paths: document.paths, responses }, hoisted) } }
}
