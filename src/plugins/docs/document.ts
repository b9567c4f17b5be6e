import createError from '@fastify/error'
import { STATUS_CODES } from 'node:http'
import { Failure } from '../../shared/envelope.ts'
import { Forbidden, Internal, TooManyRequests, Unauthorized, Unavailable, UnsupportedMediaType, validationError, type FieldError } from '../../shared/errors.ts'
import { CORRELATION_ID_PATTERN, EXAMPLE_ID } from '../../shared/ids.ts'
import { Problem, renderFault } from '../../shared/problem.ts'
import { FRAMEWORK_CODES } from '../errors/framework-errors.ts'
import { SHARED_CODES } from '../errors/send-error.ts'
import type { Version } from '../versions.ts'
import { examplesOf, type Media } from './examples.ts'
import { readable, type Schema } from './readable.ts'

interface Reference { $ref: string }
interface Response { description: string, headers?: Record<string, object>, content?: Record<string, Media> }
interface Operation {
  operationId?: string
  tags?: string[]
  security?: object[]
  deprecated?: boolean
  parameters?: { required?: boolean, schema: Schema, example?: unknown }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Response | Reference>
}

/** The parts of an OpenAPI document that this file uses. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>, [kind: string]: Record<string, object> }
}

export interface Info { title: string, version: string, description: string, contact: { name: string }, license: { name: string } }

/** The general texts of an app's documents, besides those of its routes. */
export interface ApiText {
  info: Record<Version, Info & { license: { identifier: string } }>
  /** of the document of events and messages */
  events: Info
  securitySchemes: Record<string, { type: 'http', scheme: string, bearerFormat?: string, description: string }>
}

/** A group of operations. */
export interface Tag { name: string, description: string }

type Cause = Error & { statusCode?: number | undefined, code?: string, errors?: FieldError[] }

interface SharedFault {
  name: string
  description: string
  /** makes the error of the example, given a field of the document */
  error: (field: string) => Cause
  headers?: string[]
  /** whether an operation can return it without declaring it */
  applies?: (operation: Operation, method: string, limited: boolean) => boolean
}

const BodyTooLarge = createError('BODY_TOO_LARGE', 'The body is larger than 64 KiB', 413)
const mayHaveBody = (_operation: Operation, method: string) => method !== 'get'

// Failures of many operations in every module. A module declares its own failures with its routes.
const SHARED_FAULTS: Record<number, SharedFault> = {
  400: {
    name: 'BadRequest',
    description: 'The request is not valid HTTP, or the answer lists its invalid fields',
    error: field => validationError([{ pointer: `/${field}`, detail: 'is required' }]),
    applies: () => true
  },
  401: {
    name: 'Unauthorized',
    description: 'No valid access token',
    error: () => new Unauthorized(),
    headers: ['www-authenticate'],
    applies: operation => operation.security !== undefined
  },
  403: { name: 'Forbidden', description: 'The role of the account does not allow this operation', error: () => new Forbidden() },
  413: { name: 'BodyTooLarge', description: 'The body is larger than 64 KiB', error: () => new BodyTooLarge(), applies: mayHaveBody },
  415: {
    name: 'UnsupportedMediaType',
    description: 'The body has an unsupported content type, is not in UTF-8, or is compressed',
    error: () => new UnsupportedMediaType('The body must be application/json; this one is "text/plain"'),
    applies: mayHaveBody
  },
  429: {
    name: 'TooManyRequests',
    description: 'Too many requests from this client',
    error: () => new TooManyRequests(),
    headers: ['retry-after'],
    applies: (_operation, _method, limited) => limited
  },
  500: { name: 'Internal', description: 'An error of this service', error: () => new Internal(), applies: () => true },
  503: {
    name: 'Unavailable',
    description: 'A dependency of this service does not answer; try again',
    error: () => new Unavailable(),
    headers: ['retry-after'],
    // A public read calls no dependency, unless it declares this failure itself.
    applies: (operation, method) => method !== 'get' || operation.security !== undefined
  }
}

const text = (description: string, example: string, limits: Schema = {}) => ({ description, schema: { type: 'string', maxLength: 256, pattern: '^[ -~]*$', ...limits, examples: [example] } })
const count = (description: string, example: number) => ({ description, schema: { type: 'integer', minimum: 0, maximum: 2_147_483_647, examples: [example] } })

const HEADERS = {
  'x-correlation-id': text('Identifies this request in logs, messages and events', EXAMPLE_ID, { maxLength: 64, pattern: CORRELATION_ID_PATTERN.source }),
  'access-control-allow-origin': text('The origin of the web page, if it may call this service', 'https://app.example.com'),
  'ratelimit-policy': text('The limit of this kind of request for one client: its name, requests (`q`) in a window of seconds (`w`)', '"general";q=100;w=60'),
  ratelimit: text('What is left of that limit: requests (`r`) until the window ends, in seconds (`t`)', '"general";r=99;t=60'),
  'ratelimit-limit': count('The limit, for clients of earlier drafts: requests in a window', 100),
  'ratelimit-remaining': count('Requests left in this window, for clients of earlier drafts', 99),
  'ratelimit-reset': count('Seconds until the window ends, for clients of earlier drafts', 60),
  'retry-after': count('Seconds to wait before retrying', 5),
  'www-authenticate': text('How to authenticate, RFC 6750', 'Bearer realm="user-service"')
}

const HEADERS_V1 = {
  deprecation: text('Date since which this version is deprecated, RFC 9745', '@1795305600'),
  sunset: text('Date on which this version ends, RFC 8594', 'Fri, 31 Dec 2027 00:00:00 GMT'),
  link: text('The version that replaces this one', '</openapi/v2.json>; rel="successor-version"')
}

const LIMIT_HEADERS = ['ratelimit-policy', 'ratelimit', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']

const FAULT_MEDIA_TYPE = { v1: 'application/json', v2: 'application/problem+json' }

/** On every response. The second one only for the web pages of the configured origins. */
const COMMON_HEADERS = ['x-correlation-id', 'access-control-allow-origin']

/** Names of headers that are not just their words with capital letters. */
const HEADER_NAMES: Record<string, string> = { etag: 'ETag', 'www-authenticate': 'WWW-Authenticate' }

/** A header's name as its RFC writes it, which linters look for: `ratelimit-limit` is `RateLimit-Limit`. */
const headerName = (name: string) => HEADER_NAMES[name] ?? name.replace(/(?<=^|-)[a-z]/g, letter => letter.toUpperCase()).replace(/^Ratelimit/, 'RateLimit')

const namedHeaders = (headers: Record<string, object>) => Object.fromEntries(Object.entries(headers).map(([name, header]) => [headerName(name), header]))
const headerReferences = (names: string[]) => Object.fromEntries(names.map(headerName).map(name => [name, { $ref: `#/components/headers/${name}` }]))

/** Moves every schema with a title to the components and leaves a reference. */
function createHoister (schemas: Record<string, Schema>) {
  const hoisted: Record<string, Schema> = {}

  // Without a mapping, the discriminator's values would have to be the schemas' names.
  function mapDiscriminator (schema: Schema) {
    const { propertyName } = schema['discriminator'] as { propertyName: string }
    const mapping = (schema['oneOf'] as Reference[]).map(({ $ref }) => {
      const { properties } = hoisted[$ref.split('/').at(-1)!] as { properties: Record<string, Schema> }
      return [properties[propertyName]!['const'], $ref]
    })
    schema['discriminator'] = { propertyName, mapping: Object.fromEntries(mapping) }
  }

  function named (schema: Schema): Schema {
    if (schema['discriminator'] !== undefined) mapDiscriminator(schema)
    const name = schema['title']
    if (typeof name !== 'string' || schema['type'] === undefined) return schema
    delete schema['$id']
    // A description at the place of use stays there.
    delete schema['description']
    if (hoisted[name] !== undefined && JSON.stringify(hoisted[name]) !== JSON.stringify(schema)) throw new Error(`two schemas have the title ${name}`)
    hoisted[name] = schema
    return { $ref: `#/components/schemas/${name}` }
  }
  const hoist = (schema: Schema) => readable(schema, named) as Schema
  for (const schema of Object.values(schemas)) hoist(schema)
  return { hoisted, hoist }
}

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

/** The schemas that a document refers to, directly or indirectly: an app may have more than one version uses. */
function referenced (root: object, schemas: Record<string, Schema>): Record<string, Schema> {
  const names = new Set<string>()
  const look = (node: object) => {
    for (const [, name] of JSON.stringify(node).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (names.has(name!)) continue
      names.add(name!)
      look(schemas[name!]!)
    }
  }
  look(root)
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => names.has(name)))
}
