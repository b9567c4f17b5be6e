type Compiled = ((data: unknown) => unknown) & { errors?: unknown }

/** What Fastify knows of a schema when it asks for its validator or serializer. */
interface Definition {
  method: string
  url: string
  httpPart?: string
  httpStatus?: string
  contentType?: string
}

/**
 * Validators and serializers that the build has compiled, in place of the compilers of plugins/lazy-schemas. Each is evaluated with the
 * first request that needs it.
 *
 * @param load evaluates the module of each
 * @param places where each is in `load`, by method, URL, part or status, and content type
 */
export function createCompiled (load: (() => unknown)[], places: Record<string, number>) {
  const build = () => ({ method, url, httpPart, httpStatus, contentType }: Definition): Compiled => {
    const place = places[[method, url, httpPart ?? httpStatus, contentType].join(' ')]
    if (place === undefined) throw new Error(`The schema of ${method} ${url} was not compiled by the build`)
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
