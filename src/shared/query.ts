import type { FastifyRequest } from 'fastify'

/**
 * Reads parameters of a query as whole numbers, for routes whose schema says so: no value is converted otherwise. Anything
 * that is not written as one is left to the schema, which rejects it.
 */
export function wholeNumbers (...names: string[]) {
  return async function readWholeNumbers ({ query }: FastifyRequest): Promise<void> {
    const values = query as Record<string, unknown>
    for (const name of names) if (typeof values[name] === 'string' && /^\d{1,9}$/.test(values[name])) values[name] = Number(values[name])
  }
}
