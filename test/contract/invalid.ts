import { deref, type Operation, type Schema } from '../../scripts/client/document.ts'
import { validatorOf } from './schemas.ts'
import type { Plan } from './world.ts'

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The object schema that a body follows; of a choice, the one whose constants the body has. */
function objectOf (operation: Operation, schema: Schema, body: Record<string, unknown>): Schema | undefined {
  const found = deref(operation.document, schema)
  const options = found.oneOf ?? found.anyOf
  if (options === undefined) return found.properties === undefined ? undefined : found
  return options.map(option => deref(operation.document, option)).find(({ properties = {} }) =>
    Object.entries(properties).every(([name, { const: constant }]) => constant === undefined || body[name] === constant))
}

interface Limits { maxLength?: number, minLength?: number, maximum?: number, minimum?: number, maxItems?: number }

/** Values that a schema does not accept, by the rule that each breaks. */
function violations (operation: Operation, schema: Schema): [rule: string, value: unknown][] {
  const { maxLength, minLength, maximum, minimum, maxItems } = deref(operation.document, schema) as Limits
  const candidates: [string, unknown][] = [
    ['null', null], ['a number', 1], ['a text', 'no such value'], ['a boolean', true], ['a list', []], ['an object', {}], ['characters', '\u0000'],
    ...(maxLength === undefined ? [] : [['maxLength', 'x'.repeat(maxLength + 1)] as [string, unknown]]),
    ...(minLength === undefined ? [] : [['minLength', 'x'.repeat(Math.max(0, minLength - 1))] as [string, unknown]]),
    ...(maximum === undefined ? [] : [['maximum', maximum + 1] as [string, unknown]]),
    ...(minimum === undefined ? [] : [['minimum', minimum - 1] as [string, unknown]]),
    ...(maxItems === undefined ? [] : [['maxItems', Array.from({ length: maxItems + 1 }, (_, i) => i)] as [string, unknown]])
  ]
  const accepts = validatorOf(operation.document, schema)
  return candidates.filter(([, value]) => !accepts(value))
}

/** Those of them that can be written in a path, a query or a header. The service reads a number from text. */
function writable (operation: Operation, schema: Schema): [rule: string, value: string][] {
  const { type } = deref(operation.document, schema)
  return violations(operation, schema)
    .filter(([, value]) => typeof value === 'number' || (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value)))
    .filter(([, value]) => type !== 'string' || typeof value === 'string')
    .map(([rule, value]) => [rule, String(value)])
}

/** Fields that an attacker would like the service to read from a body. */
const SMUGGLED = { role: 'admin', version: 99, status: 'ACTIVE', id: '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', userId: 'x', constructor: 'x', unknown: true }

/** Requests that break the operation's schemas, each in one way, made from a valid one. */
export function invalidPlans (operation: Operation, valid: Plan): [title: string, plan: Plan][] {
  const plans: [string, Plan][] = []
  const { body } = valid
  if (operation.body !== undefined) {
    plans.push(['a body that is not JSON', { ...valid, body: '{"a":' }], ['an empty body', { ...valid, body: '' }])
    for (const [kind, value] of [['null', 'null'], ['an array', '[]'], ['a text', '"text"']]) plans.push([`${kind} as the body`, { ...valid, body: value }])
  }
  const schema = operation.body === undefined || !isRecord(body) ? undefined : objectOf(operation, operation.body.schema, body)
  if (schema !== undefined && isRecord(body)) {
    const properties = schema.properties ?? {}
    for (const name of schema.required ?? []) {
      const { [name]: _, ...rest } = body
      plans.push([`no ${name}`, { ...valid, body: rest }])
    }
    for (const [name, value] of Object.entries(SMUGGLED)) {
      if (!Object.hasOwn(properties, name)) plans.push([`an unknown property ${name}`, { ...valid, body: { ...body, [name]: value } }])
    }
    if (schema['minProperties'] !== undefined) plans.push(['no properties', { ...valid, body: {} }])
    for (const [name, property] of Object.entries(properties)) {
      for (const [rule, value] of violations(operation, property)) plans.push([`${name}: ${rule}`, { ...valid, body: { ...body, [name]: value } }])
    }
  }
  for (const { in: place, name, schema, required } of operation.parameters) {
    const breaking = writable(operation, schema)
    if (place === 'path') for (const [rule, value] of breaking) plans.push([`${name}: ${rule}`, { ...valid, path: { ...valid.path, [name]: value } }])
    if (place === 'query') for (const [rule, value] of breaking) plans.push([`${name}: ${rule}`, { ...valid, query: { ...valid.query, [name]: value } }])
    if (place === 'header') {
      for (const [rule, value] of breaking) plans.push([`${name}: ${rule}`, { ...valid, headers: { ...valid.headers, [name]: value } }])
      if (required === true) plans.push([`no ${name}`, { ...valid, headers: Object.fromEntries(Object.entries(valid.headers ?? {}).filter(([given]) => given.toLowerCase() !== name.toLowerCase())) }])
    }
    if (place === 'query' && required === true) plans.push([`no ${name}`, { ...valid, query: Object.fromEntries(Object.entries(valid.query ?? {}).filter(([given]) => given !== name)) }])
  }
  return plans
}
