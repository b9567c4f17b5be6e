import type { Media } from './openapi.ts'
import type { Schema } from './readable.ts'

/** A value that fits a schema, made from the `examples` of its parts. */
export function exampleOf (schema: Schema, named: Record<string, Schema> = {}): unknown {
  const { $ref, examples, const: constant, enum: values, properties, items, oneOf, anyOf, type, minimum } = schema as {
    $ref?: string, examples?: unknown[], const?: unknown, enum?: unknown[], properties?: Record<string, Schema>, items?: Schema, oneOf?: Schema[], anyOf?: Schema[], type?: string, minimum?: number
  }
  if ($ref !== undefined) return exampleOf(named[$ref.split('/').at(-1)!]!, named)
  if (examples !== undefined) return examples[0]
  if (constant !== undefined) return constant
  if (values !== undefined) return values[0]
  const option = (oneOf ?? anyOf)?.[0]
  if (option !== undefined) return exampleOf(option, named)
  switch (type) {
    case 'object': return Object.fromEntries(Object.entries(properties ?? {}).map(([name, property]) => [name, exampleOf(property, named)]))
    case 'array': return items === undefined ? [] : [exampleOf(items, named)]
    case 'integer':
    case 'number': return minimum ?? 0
    case 'boolean': return true
    case 'null': return null
    // The linter compares it with the schema, and so asks for an example of the schema's own.
    default: return 'text'
  }
}

/** An example for a body, or one for each of its alternatives. */
export function examplesOf (schema: Schema, named: Record<string, Schema>): Pick<Media, 'example' | 'examples'> {
  const { oneOf } = (typeof schema['$ref'] === 'string' ? named[schema['$ref'].split('/').at(-1)!]! : schema) as { oneOf?: Schema[] }
  const nameOf = ({ $ref, title }: Schema, i: number) => String($ref ?? title ?? `Alternative${i + 1}`).split('/').at(-1)!
  return oneOf === undefined
    ? { example: exampleOf(schema, named) }
    : { examples: Object.fromEntries(oneOf.map((option, i) => [nameOf(option, i), { value: exampleOf(option, named) }])) }
}
