export type Schema = Record<string, unknown>

/** Custom keywords for the error texts of plugins/errors. */
const ERROR_TEXTS = ['x-expected', 'x-detail']

/** Converts an `anyOf` of constants, which TypeBox makes of a union of literals, into an `enum`, which is easier to read. */
function asEnum (schema: Schema): Schema {
  const options = schema['anyOf'] as Schema[] | undefined
  if (options === undefined || !options.every(option => typeof option['const'] === 'string')) return schema
  const { anyOf: _, ...rest } = schema
  return { type: 'string', enum: options.map(option => option['const']), ...rest }
}

/** Names the size of an integer, from its limits. Many generators of clients need it. */
function withFormat (schema: Schema): Schema {
  if (schema['type'] !== 'integer' || schema['format'] !== undefined) return schema
  const { minimum = -Infinity, maximum = Infinity } = schema as { minimum?: number, maximum?: number }
  return { ...schema, format: minimum >= -(2 ** 31) && maximum < 2 ** 31 ? 'int32' : 'int64' }
}

/** Copies a schema as a document shows it, without what only this service understands. `named` may replace each part. */
export function readable (node: unknown, named: (schema: Schema) => Schema = schema => schema): unknown {
  if (Array.isArray(node)) return node.map(item => readable(item, named))
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(node).filter(([key]) => !ERROR_TEXTS.includes(key))
  return named(withFormat(asEnum(Object.fromEntries(entries.map(([key, value]) => [key, readable(value, named)])))))
}
