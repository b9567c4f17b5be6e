import type { FastifyError } from 'fastify'
import { pointerTo, type FieldError } from '../../shared/errors.ts'

/** Fields that are named in an answer: a body with ten thousand unknown properties is answered with the first few. */
const MAX_FIELD_ERRORS = 20

/** What Ajv says of one failure. */
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
  /** own keyword: what a value must be, in words, where only a pattern says it; continues "must be" */
  'x-expected'?: string
}

const constantsOf = (schemas: (Schema | undefined)[] = []) => schemas.map(schema => schema?.const)

function oneOf (values: unknown[]): string {
  return values.length === 0 || values.includes(undefined) ? 'has an invalid value' : `must be ${values.length > 1 ? 'one of: ' : ''}${values.map(String).join(', ')}`
}

const ARTICLES: Record<string, string> = { integer: 'an integer', array: 'an array', object: 'an object', null: 'null' }
const counted = (count: unknown, unit: string) => `${String(count)} ${unit}${count === 1 ? '' : 's'}`

/** The schema that failed, found by its path: Ajv's option `verbose` gives it too, and makes every validator larger. */
function schemaAt (root: unknown, schemaPath: string): Schema {
  let schema = root
  for (const key of schemaPath.split('/').slice(1, -1)) {
    const name = /[%~]/.test(key) ? decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~') : key
    schema = (schema as Record<string, unknown> | undefined)?.[name]
  }
  return schema ?? {}
}

/** What is wrong with a field, to be read after its name: "is required", "must have at least 2 characters". */
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
    case 'format': return 'has an invalid format'
    default: return 'is not valid'
  }
}

/**
 * The invalid fields of a request that Ajv refused, and how many more there are than are named.
 *
 * @param schemas those of the route, by part of the request
 */
export function fieldErrors ({ validation = [], validationContext }: FastifyError, schemas: Record<string, unknown> = {}): { errors: FieldError[], more: number } {
  const place = validationContext === 'body' ? '' : '#'
  // Report a failed anyOf once, not once per branch.
  const failures = (validation as unknown as Failed[]).filter(({ schemaPath }) => !/\/anyOf\/\d/.test(schemaPath))
  const errors = failures.slice(0, MAX_FIELD_ERRORS).map(failure => {
    const { instancePath, keyword, params } = failure
    const name = { required: params['missingProperty'], additionalProperties: params['additionalProperty'], discriminator: params['tag'] }[keyword]
    const below = name === undefined ? '' : pointerTo(String(name))
    return { pointer: `${place}${instancePath}${below}`, detail: detailOf(failure, schemaAt(schemas[validationContext ?? ''], failure.schemaPath)) }
  })
  return { errors, more: failures.length - errors.length }
}
