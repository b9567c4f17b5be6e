import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { wholeNumbers } from '../../src/shared/query.ts'

t.test('a parameter that is written as a whole number becomes one, and everything else is left to the schema', async t => {
  const read = async (query: Record<string, unknown>) => {
    await wholeNumbers('limit', 'offset')({ query } as FastifyRequest)
    return query
  }
  t.strictSame(await read({ limit: '20', offset: '0', other: '7' }), { limit: 20, offset: 0, other: '7' })
  t.strictSame(await read({ limit: '999999999', offset: '007' }), { limit: 999_999_999, offset: 7 })
  for (const limit of ['', ' 7', '7 ', 'x7', '7x', '-7', '7.0', '1e3', '1000000000', ['7'], undefined]) t.strictSame(await read({ limit }), { limit }, JSON.stringify(limit))
  t.strictSame(await read({}), {})
})
