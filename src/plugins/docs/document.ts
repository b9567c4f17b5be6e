import { STATUS_CODES } from 'node:http'
import { Forbidden, TooManyRequests, Unauthorized, Unavailable, validationError, type FieldError } from '../../shared/errors.ts'
import { Failure, Problem, renderFault } from '../../shared/problem.ts'

type Schema = Record<string, unknown>
interface Reference { $ref: string }
interface Media { schema: Schema }
interface Response { description: string, headers?: Record<string, object>, content?: Record<string, Media> }
interface Operation {
  operationId?: string
  tags?: string[]
  security?: object[]
  deprecated?: boolean
  parameters?: object[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Response | Reference>
}

/** The parts of an OpenAPI document that are looked at here. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>, [kind: string]: Record<string, object> }
}

type Version = 'v1' | 'v2'

const ABOUT = `Registration, sign-in and profiles.

An account is opened and signed in to with an e-mail address alone: a code goes to the address, and whoever sends it back has proved to own it. There are no passwords.`

const COMMON = 'Every answer carries `x-correlation-id`: yours, if the request had one of up to 64 letters, digits, dots, dashes and underscores, else a new one. Quote it when you report a problem. Bodies are JSON in UTF-8 of up to 64 KiB; properties that are not documented are refused. A known path asked with another method is a 405 with `Allow`.'

const shared = {
  openapi: '3.1.0',
  servers: [{ url: '/' }],
  components: {
    securitySchemes: {
      bearer: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token, from `POST /v2/auth/tokens`' }
    }
  },
  tags: [
    { name: 'users', description: 'Accounts and profiles' },
    { name: 'auth', description: 'Codes, tokens, sessions' },
    { name: 'service', description: 'State and keys of the service itself' }
  ]
}

const info = { contact: { name: 'The maintainers of the user service' }, license: { name: 'MIT', identifier: 'MIT' } }

/** What each document says beside its routes. */
export const DOCUMENTS = {
  v1: {
    ...shared,
    info: {
      ...info,
      title: 'User service, version 1',
      version: '1.0.0',
      description: `${ABOUT}\n\nThis version is frozen and will end on the day in the \`Sunset\` header of its answers; version 2 succeeds it. Answers are \`{"success": true, "data": …}\` or \`{"success": false, "error": "…"}\`.\n\n${COMMON}`
    }
  },
  v2: {
    ...shared,
    info: {
      ...info,
      title: 'User service, version 2',
      version: '2.0.0',
      description: `${ABOUT}\n\n1. \`POST /v2/users\` registers; the mail that follows holds a code and a link.\n2. \`POST /v2/auth/tokens\` exchanges the code for an access token and a refresh token; the link does the same in a browser.\n3. Press **Authorize**, paste the access token, and \`GET /v2/users/me\` answers.\n\nProblems are told as \`application/problem+json\` (RFC 9457); programs should look at \`code\`, which is stable.\n\n${COMMON}`
    }
  }
}

interface SharedFault {
  name: string
  description: string
  /** what the example is rendered from */
  error: Error & { statusCode?: number | undefined, code?: string, errors?: FieldError[] }
  headers?: string[]
  /** whether an operation can answer it without saying so itself */
  applies?: (operation: Operation, method: string, limited: boolean) => boolean
}

const fault = (statusCode: number, code: string, message: string) => Object.assign(new Error(message), { statusCode, code })
const mayHaveBody = (_operation: Operation, method: string) => method !== 'get'

// What many operations answer, said once: a route names only what is its own.
const SHARED_FAULTS: Record<number, SharedFault> = {
  400: {
    name: 'BadRequest',
    description: 'The request is not valid; the fields are named',
    error: Object.assign(validationError([{ pointer: '/email', detail: 'is required' }]), { message: 'email is required' }),
    applies: (operation, method) => mayHaveBody(operation, method) || operation.parameters !== undefined
  },
  401: {
    name: 'Unauthorized',
    description: 'No valid access token',
    error: new Unauthorized(),
    headers: ['www-authenticate'],
    applies: operation => operation.security !== undefined
  },
  403: { name: 'Forbidden', description: 'The role of the account does not allow it', error: new Forbidden() },
  404: { name: 'NotFound', description: 'There is no such thing, or it is somebody else\'s', error: fault(404, 'USERS_NOT_FOUND', 'There is no such user') },
  409: { name: 'Conflict', description: 'It does not go together with what is there', error: fault(409, 'USERS_CONFLICT', 'The user was changed by somebody else at the same moment; try again') },
  413: { name: 'BodyTooLarge', description: 'The body is larger than 64 KiB', error: fault(413, 'BODY_TOO_LARGE', 'The body is larger than 64 KiB'), applies: mayHaveBody },
  415: { name: 'UnsupportedMediaType', description: 'The body is of another content type', error: fault(415, 'UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json'), applies: mayHaveBody },
  429: {
    name: 'TooManyRequests',
    description: 'Too many requests from this client',
    error: new TooManyRequests(),
    headers: ['retry-after'],
    applies: (_operation, _method, limited) => limited
  },
  503: {
    name: 'Unavailable',
    description: 'A part the service depends on does not answer; try again',
    error: new Unavailable(),
    headers: ['retry-after'],
    applies: operation => operation.tags?.includes('service') !== true
  }
}

const text = (description: string, example: string) => ({ description, schema: { type: 'string', examples: [example] } })
const count = (description: string, example: number) => ({ description, schema: { type: 'integer', examples: [example] } })

const EXAMPLE_ID = '5f0c7a1e-2b6d-4c3f-9a8e-1d2c3b4a5f60'

const HEADERS = {
  'x-correlation-id': text('Names this request in our logs, messages and events', EXAMPLE_ID),
  'ratelimit-limit': count('Requests a client may make in a window', 100),
  'ratelimit-remaining': count('Requests left in this window', 99),
  'ratelimit-reset': count('Seconds until the window ends', 60),
  'retry-after': count('Seconds to wait before the next try', 5),
  'www-authenticate': text('How to authenticate, RFC 6750', 'Bearer realm="user-service"')
}

const HEADERS_V1 = {
  deprecation: text('Since when this version is deprecated, RFC 9745', '@1795305600'),
  sunset: text('When this version ends, RFC 8594', 'Fri, 31 Dec 2027 00:00:00 GMT'),
  link: text('The version that succeeds this one', '</openapi/v2.json>; rel="successor-version"')
}

const LIMIT_HEADERS = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']

const FAULT_MEDIA_TYPE = { v1: 'application/json', v2: 'application/problem+json' }

const headerReferences = (names: string[]) => Object.fromEntries(names.map(name => [name, { $ref: `#/components/headers/${name}` }]))

/** `anyOf` of constants, as TypeBox writes a union of literals, is an `enum` for a reader. */
function asEnum (schema: Schema): Schema {
  const options = schema['anyOf'] as Schema[] | undefined
  if (options === undefined || !options.every(option => typeof option['const'] === 'string')) return schema
  const { anyOf: _, ...rest } = schema
  return { type: 'string', enum: options.map(option => option['const']), ...rest }
}

/** Moves every schema with a name (its title) to the components, and leaves a reference. */
function createHoister (schemas: Record<string, Schema>) {
  const hoisted: Record<string, Schema> = {}

  // Without a mapping, the values of a discriminator would be the names of the schemas.
  function mapDiscriminator (schema: Schema) {
    const { propertyName } = schema['discriminator'] as { propertyName: string }
    const mapping = (schema['oneOf'] as Reference[]).map(({ $ref }) => {
      const { properties } = hoisted[$ref.split('/').at(-1)!] as { properties: Record<string, Schema> }
      return [properties[propertyName]!['const'], $ref]
    })
    schema['discriminator'] = { propertyName, mapping: Object.fromEntries(mapping) }
  }

  function hoist (node: unknown): unknown {
    if (Array.isArray(node)) return node.map(hoist)
    if (typeof node !== 'object' || node === null) return node
    const schema = asEnum(Object.fromEntries(Object.entries(node).map(([key, value]) => [key, hoist(value)])))
    if (schema['discriminator'] !== undefined) mapDiscriminator(schema)
    const name = schema['title']
    if (typeof name !== 'string' || schema['type'] === undefined) return schema
    delete schema['$id']
    // What is said at the place of use is about that place.
    delete schema['description']
    if (hoisted[name] !== undefined && JSON.stringify(hoisted[name]) !== JSON.stringify(schema)) throw new Error(`two schemas have the title ${name}`)
    hoisted[name] = schema
    return { $ref: `#/components/schemas/${name}` }
  }
  for (const schema of Object.values(schemas)) hoist(schema)
  return { hoisted, hoist: (schema: Schema) => hoist(schema) as Schema }
}

/**
 * Completes a document made from routes: names its schemas, and says for every operation what all of them have in
 * common, so that a route says only what is its own.
 *
 * @param unlimited paths without a rate limit
 */
export function finishDocument (document: Document, version: Version, unlimited: ReadonlySet<string>): Document {
  const { hoisted, hoist } = createHoister(document.components.schemas)
  const faultSchema = hoist(version === 'v1' ? Failure : Problem)
  const lifecycle = version === 'v1' ? Object.keys(HEADERS_V1) : []
  const faultContent = { [FAULT_MEDIA_TYPE[version]]: { schema: faultSchema } }

  const responses: Record<string, object> = {}
  function sharedResponse (status: string): Reference {
    const { name, description, error, headers = [] } = SHARED_FAULTS[Number(status)]!
    const { body } = renderFault({ status: Number(status), code: error.code!, detail: error.message, instance: `/${version}/users`, correlationId: EXAMPLE_ID, errors: error.errors }, version)
    responses[name] = {
      description,
      headers: headerReferences(['x-correlation-id', ...headers, ...LIMIT_HEADERS, ...lifecycle]),
      content: { [FAULT_MEDIA_TYPE[version]]: { schema: faultSchema, example: body } }
    }
    return { $ref: `#/components/responses/${name}` }
  }

  for (const [path, operations] of Object.entries(document.paths)) {
    const limited = !unlimited.has(path)
    const common = headerReferences(['x-correlation-id', ...(limited ? LIMIT_HEADERS : []), ...lifecycle])
    for (const [method, operation] of Object.entries(operations)) {
      for (const media of Object.values(operation.requestBody?.content ?? {})) media.schema = hoist(media.schema)
      for (const [status, response] of Object.entries(operation.responses)) {
        if ('$ref' in response) continue
        const unsaid = response.description === 'Default Response'
        if (unsaid && SHARED_FAULTS[Number(status)] !== undefined) {
          operation.responses[status] = sharedResponse(status)
          continue
        }
        if (unsaid) response.description = STATUS_CODES[status]!
        response.headers = { ...response.headers, ...common, ...headerReferences(SHARED_FAULTS[Number(status)]?.headers ?? []) }
        for (const media of Object.values(response.content ?? {})) media.schema = hoist(media.schema)
        const isFault = Object.values(response.content ?? {}).some(media => media.schema['$ref'] === faultSchema['$ref'])
        if (isFault) response.content = faultContent
      }
      for (const [status, { applies }] of Object.entries(SHARED_FAULTS)) {
        if (applies?.(operation, method, limited) === true) operation.responses[status] ??= sharedResponse(status)
      }
      operation.security ??= []
      if (version === 'v1') operation.deprecated = true
    }
  }
  return { ...document, components: { ...document.components, headers: { ...HEADERS, ...(version === 'v1' ? HEADERS_V1 : {}) }, responses, schemas: hoisted } }
}
