import type { Reference } from './openapi.ts'
import { readable, type Schema } from './readable.ts'

/** Moves every schema with a title to the components and leaves a reference. */
export function createHoister (schemas: Record<string, Schema>) {
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

/** The schemas that a document refers to, directly or indirectly: an app may have more than one version uses. */
export function referenced (root: object, schemas: Record<string, Schema>): Record<string, Schema> {
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
