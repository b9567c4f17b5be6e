import { deref, isKeyed, operationsOf, type Document, type Operation, type Schema } from './document.ts'

/** A request for an operation with values that a user can send at once. `{{names}}` are variables of a collection. */
export interface SampleRequest {
  operation: Operation
  /** the operation's id, with the kind of its body when there are several */
  name: string
  path: string
  /** names and values; those of optional parameters are switched off */
  query: { name: string, value: string, isOptional: boolean }[]
  headers: [name: string, value: string][]
  body: unknown
  /** status of a success */
  status: number
  /** variables that the answer sets, and where their values are in its body */
  captures: [variable: string, place: string][]
}

/** Body properties whose value comes from an earlier answer. */
const VARIABLES = new Set(['email', 'challengeId', 'code', 'refreshToken'])

/** Answers' properties that later requests use. */
const CAPTURED = ['challengeId', 'accessToken', 'refreshToken']

const singular = (word: string) => word.replace(/s$/, '')
const camelCase = (words: string) => words.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** `{id}` after `/users` is a `userId`, after `/price-lists` a `priceListId`; other parameters have a name of their own. */
const variableOf = (path: string, parameter: string) =>
  parameter === 'id' ? `${singular(camelCase(/\/([\w-]+)\/\{id\}/.exec(path)![1]!))}Id` : parameter

function exampleOf (document: Document, reference: Schema, name?: string): unknown {
  const schema = deref(document, reference)
  if (name !== undefined && VARIABLES.has(name)) return `{{${name}}}`
  if (schema['example'] !== undefined) return schema['example']
  if (schema.examples !== undefined) return schema.examples[0]
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const options = schema.oneOf ?? schema.anyOf
  if (options !== undefined) return exampleOf(document, options[0]!)
  switch (schema.type) {
    case 'object': return Object.fromEntries(Object.entries(schema.properties ?? {})
      .filter(([property]) => schema.required?.includes(property) === true)
      .map(([property, value]) => [property, exampleOf(document, value, property)]))
    case 'array': return schema.items === undefined ? [] : [exampleOf(document, schema.items, name === 'ids' ? 'id' : undefined)]
    case 'integer': case 'number': return schema['minimum'] ?? 1
    case 'boolean': return true
    default: return 'text'
  }
}

/** An example with the values of earlier answers put in. */
function withVariables (value: unknown, name?: string): unknown {
  if (name !== undefined && VARIABLES.has(name)) return `{{${name}}}`
  if (Array.isArray(value)) return value.map(item => withVariables(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withVariables(item, key)]))
}

/** The bodies that an operation accepts: one, or one of each kind. */
function bodiesOf ({ document, body }: Operation): { kind?: string, value: unknown }[] {
  if (body === undefined) return [{ value: undefined }]
  const { oneOf, discriminator } = deref(document, body.schema) as Schema & { discriminator?: { propertyName: string } }
  if (oneOf !== undefined && discriminator !== undefined) {
    return oneOf.map(option => {
      const value = exampleOf(document, option) as Record<string, unknown>
      return { kind: String(value[discriminator.propertyName]), value: withVariables(value) }
    })
  }
  const given = body.example ?? Object.values(body.examples ?? {})[0]?.value
  return [{ value: withVariables(given ?? exampleOf(document, body.schema)) }]
}

function capturesOf ({ document, responses, path }: Operation, status: number): [string, string][] {
  const [media] = Object.values(responses[status]?.content ?? {})
  if (media === undefined) return []
  let schema = deref(document, media.schema)
  let place = 'body'
  if (schema.properties?.['data'] !== undefined) {
    schema = deref(document, schema.properties['data'])
    place = 'body.data'
  }
  const { properties = {} } = schema
  const user = properties['user'] === undefined ? undefined : deref(document, properties['user']).properties
  const userKey = user === undefined ? undefined : ['id', 'userId'].find(key => key in user)
  const list = path.split('/').at(-1)!
  return [
    ...CAPTURED.filter(name => name in properties).map((name): [string, string] => [name, `${place}.${name}`]),
    ...(userKey === undefined ? [] : [['userId', `${place}.user.${userKey}`] as [string, string]]),
    ...('userId' in properties ? [['userId', `${place}.userId`] as [string, string]] : []),
    // The last of a list is the oldest. Users are left alone: the others are not to be changed by a sample.
    ...('items' in properties && list !== 'users' ? [[`${singular(list)}Id`, `${place}.items.at(-1)?.id`] as [string, string]] : [])
  ]
}

/** Sample requests of an operation: one, or one for each kind of its body. */
export function samplesOf (operation: Operation): SampleRequest[] {
  const { document, id, path, parameters, responses } = operation
  const status = Math.min(...Object.keys(responses).map(Number))
  return bodiesOf(operation).map(({ kind, value }) => ({
    operation,
    name: kind === undefined ? id : `${id} (${kind})`,
    path: path.replace(/\{(\w+)\}/g, (_, name: string) => `{{${variableOf(path, name)}}}`),
    query: parameters.filter(parameter => parameter.in === 'query').map(({ name, required, schema, example }) =>
      ({ name, value: String(withVariables(example ?? exampleOf(document, schema), name)), isOptional: required !== true })),
    headers: isKeyed(operation) ? [['idempotency-key', '{{$guid}}']] : [],
    body: value,
    status,
    captures: capturesOf(operation, status)
  }))
}

/** Path parameters that no answer sets, with an example of each. */
export function givenVariables (samples: SampleRequest[]): Record<string, string> {
  const captured = new Set(samples.flatMap(({ captures }) => captures.map(([variable]) => variable)))
  return Object.fromEntries(samples.flatMap(({ operation: { document, path, parameters } }) => parameters
    .filter(parameter => parameter.in === 'path')
    .map(({ name, schema, example }): [string, string] => [variableOf(path, name), String(example ?? exampleOf(document, schema))])
    .filter(([variable]) => !captured.has(variable))))
}

/**
 * One user's way through the service, in the order of the operations; others follow. An operation that a document does not
 * have is left out.
 */
const ORDER = [
  'users.create', 'v1.users.create', 'auth.createChallenge', 'v1.auth.createChallenge', 'auth.verify', 'auth.createTokens', 'v1.auth.createTokens',
  'users.getMe', 'users.updateMe', 'users.changeEmail', 'avatars.create', 'avatars.delete', 'sessions.list', 'sessions.end', 'users.export'
]

/** The operations of a document in an order in which they can be tried: what ends something comes last. */
export function orderedOperations (document: Document): Operation[] {
  const last = /(?:^|\.)(?:revoke|endAll|delete|deleteMe)$/
  const rank = ({ id }: Operation) => ORDER.includes(id) ? ORDER.indexOf(id) : ORDER.length + (last.test(id) ? 1 : 0)
  return operationsOf(document).sort((a, b) => rank(a) - rank(b))
}
