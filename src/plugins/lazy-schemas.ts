import AjvCompiler from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Factory<C> = (externalSchemas: never, options: never) => C
type Validator = ((data: unknown) => unknown) & { errors?: unknown }

/** Makes a value with its first use. */
function lazy<T> (make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** A factory of compilers whose compilers are made, and whose schemas are compiled, with the first request that needs them. */
function lazily<D, F extends (data: unknown) => unknown> (factory: Factory<(definition: D) => F>, wrap: (compiled: () => F) => F): Factory<(definition: D) => F> {
  return (externalSchemas, options) => {
    const compiler = lazy(() => factory(externalSchemas, options))
    return definition => wrap(lazy(() => compiler()(definition)))
  }
}

/**
 * Fastify's own compilers, which compile a route's schemas with its first request and not when the app starts. A function
 * that starts cold serves one route: compiling the others took a fifth of its start. See ADR 100.
 */
export const lazySchemas = {
  buildValidator: lazily(AjvCompiler() as unknown as Factory<(definition: object) => Validator>, compiled => {
    const validator: Validator = (data) => {
      const validate = compiled()
      const result = validate(data)
      validator.errors = validate.errors
      return result
    }
    return validator
  }) as never,
  buildSerializer: lazily(SerializerSelector() as unknown as Factory<(definition: object) => (data: unknown) => unknown>, compiled => data => compiled()(data)) as never
}
