type Compiled = ((data: unknown) => unknown) & { errors?: unknown }

/** What Fastify knows of a schema when it asks for its validator or serializer. */
export interface Definition {
  method: string
  url: string
  httpPart?: string
  httpStatus?: string
  contentType?: string
}

/** Names a schema by its route and place in it. */
export const keyOf = ({ method, url, httpPart, httpStatus, contentType }: Definition): string => [method, url, httpPart ?? httpStatus, contentType].join(' ')

/**
 * Validators and serializers that the build has compiled, in place of the compilers of plugins/lazy-schemas. Each is evaluated with the
 * first request that needs it.
 *
 * @param load evaluates the module of each
 * @param places where each is in `load`, by `keyOf`
 */
export function createCompiled (load: (() => unknown)[], places: Record<string, number>) {
  const build = () => (definition: Definition): Compiled => {
    const place = places[keyOf(definition)]
    if (place === undefined) throw new Error(`The schema of ${definition.method} ${definition.url} was not compiled by the build`)
    let compiled: Compiled | undefined
    const use: Compiled = (data) => {
      compiled ??= load[place]!() as Compiled
      const result = compiled(data)
      use.errors = compiled.errors
      return result
    }
    return use
  }
  return { buildValidator: build as never, buildSerializer: build as never }
}
