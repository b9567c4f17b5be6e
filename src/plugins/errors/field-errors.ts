import type { FastifyError } from 'fastify'
import { pointerTo, type FieldError } from '../../shared/errors.ts'
import { isObject } from '../../shared/is-object.ts'

/** Maximum number of fields in an answer, for example for a body with ten thousand unknown properties. */
const MAX_FIELD_ERRORS = 20

/** The parts of an Ajv error that are used here. */
interface Failed {
  instancePath: string
  schemaPath: string
  keyword: string
  params: Record<string, unknown>
}

interface Schema {
  anyOf?: Schema[]
  oneOf?: Schema[]
  properties?: Record<string, Schema>
  const?: unknown
  enum?: unknown[]
  /** custom keyword: describes in words what a pattern requires; continues "must be" */
  'x-expected'?: string
  /** custom keyword: the whole text for a value that does not fit the pattern or the format */
  'x-detail'?: string
}

const constantsOf = (schemas: (Schema | undefined)[] = []) => schemas.map(schema => schema?.const)

function oneOf (values: unknown[]): string {
  return values.length === 0 || values.includes(undefined) ? 'has an invalid value' : `must be ${values.length > 1 ? 'one of: ' : ''}${values.map(String).join(', ')}`
}

const ARTICLES: Record<string, string> = { integer: 'an integer', array: 'an array', object: 'an object', null: 'null' }
const counted = (count: unknown, unit: string) => `${String(count)} ${unit}${count === 1 ? '' : 's'}`

/** Finds the schema that failed by its path. Ajv's option `verbose` would provide it, but makes every validator larger. */
function schemaAt (root: unknown, schemaPath: string, named: (id: string) => unknown): Schema {
  const resolved = (schema: unknown) => {
    const { $ref } = (schema ?? {}) as { $ref?: string }
    return $ref === undefined ? schema : named($ref.replace('#', ''))
  }
  // Ajv names the schema that a reference leads to, unless it has inlined it.
  const end = schemaPath.indexOf('#')
  let schema = resolved(end === 0 ? root : named(schemaPath.slice(0, end)))
  for (const key of schemaPath.slice(end).split('/').slice(1, -1)) {
    const name = decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')
    schema = resolved((schema as Record<string, unknown> | undefined)?.[name])
  }
  return schema ?? {}
}

/** Describes the error of a field. The text continues the field's name: "is required", "must have at least 2 characters". */
function detailOf ({ keyword, params }: Failed, schema: Schema): string {
  if (schema['x-expected'] !== undefined && ['pattern', 'format', 'minLength', 'maxLength'].includes(keyword)) return `must be ${schema['x-expected']}`
  const { limit } = params
  switch (keyword) {
    case 'required': return 'is required'
    case 'additionalProperties': return 'is not a known property'
    case 'discriminator': return params['tagValue'] === undefined ? 'is required' : oneOf(constantsOf(schema.oneOf?.map(option => option.properties?.[String(params['tag'])])))
    case 'anyOf': return oneOf(constantsOf(schema.anyOf))
    case 'enum': return oneOf(schema.enum ?? [])
    case 'const': return oneOf([schema.const])
    case 'type': return `must be ${[params['type']].flat().map(type => ARTICLES[String(type)] ?? `a ${String(type)}`).join(' or ')}`
    case 'minLength': return limit === 1 ? 'must not be empty' : `must have at least ${counted(limit, 'character')}`
    case 'maxLength': return `must have at most ${counted(limit, 'character')}`
    case 'minItems': return `must have at least ${counted(limit, 'item')}`
    case 'maxItems': return `must have at most ${counted(limit, 'item')}`
    case 'minProperties': return `must have at least ${limit === 1 ? '1 property' : `${String(limit)} properties`}`
    case 'uniqueItems': return 'must not have the same item twice'
    case 'minimum': return `must be at least ${String(limit)}`
    case 'maximum': return `must be at most ${String(limit)}`
    case 'pattern':
    case 'format': return schema['x-detail'] ?? 'has an invalid format'
    default: return 'is not valid'
  }
}

/** Whether a member of a merge patch (RFC 7396) is `null`, which asks for its removal. A schema allows that only where it is possible. */
function asksForRemoval (pointer: string, body: unknown, { consumes }: Record<string, unknown>): boolean {
  // A pointer that is deeper, or escapes a character, is no name of a member.
  return Array.isArray(consumes) && consumes.includes('application/merge-patch+json') && isObject(body) && body[pointer.slice(1)] === null
}

/**
 * The invalid fields of a request that Ajv rejected, and how many more there are.
 *
 * @param schemas the route's schemas, by part of the request
 * @param named the app's shared schemas, by id
 * @param body the request's body
 */
export function fieldErrors ({ validation, validationContext }: FastifyError, schemas: Record<string, unknown> = {}, named: (id: string) => unknown = () => undefined, body?: unknown): { errors: FieldError[], more: number } {
  const place = validationContext === 'body' ? '' : '#'
  // Report a failed anyOf once, not once per branch.
  const failures = new Map<string, Failed>()
  for (const failure of validation as unknown as Failed[]) {
    if (/\/anyOf\/\d/.test(failure.schemaPath)) continue
    const { instancePath, keyword, params } = failure
    const name = { required: params['missingProperty'], additionalProperties: params['additionalProperty'], discriminator: params['tag'] }[keyword]
    const pointer = `${place}${instancePath}${name === undefined ? '' : pointerTo(String(name))}`
    // The first failure of a field says enough: a text that is too long often does not fit the pattern either.
    if (!failures.has(pointer)) failures.set(pointer, failure)
  }
  const errors = [...failures].slice(0, MAX_FIELD_ERRORS).map(([pointer, failure]) => {
    const isRemoval = pointer === failure.instancePath && asksForRemoval(pointer, body, schemas)
    return { pointer, detail: isRemoval ? 'cannot be removed' : detailOf(failure, schemaAt(schemas[validationContext!], failure.schemaPath, named)) }
  })
  return { errors, more: failures.size - errors.length }
}
