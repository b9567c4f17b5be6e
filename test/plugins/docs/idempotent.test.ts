import t from 'tap'
import { withIdempotency } from '../../../src/plugins/docs/idempotent.ts'
import { IdempotencyInProgress, IdempotencyKeyReused, PreconditionFailed } from '../../../src/shared/errors.ts'
import { problem } from '../../../src/shared/problem.ts'
import { IdempotencyKey } from '../../../src/plugins/idempotency/key.ts'

const REPLAYED = { 'idempotent-replayed': { type: 'string', enum: ['true'], description: 'Present when this is the first answer again' } }
const RUNNING = 'The first request with this Idempotency-Key is still running'
const REUSED = 'The Idempotency-Key was used for another request'

t.test('an idempotent route takes a key, marks a repeated answer, and may refuse a key', async t => {
  t.strictSame(withIdempotency({ response: { 202: { description: 'Accepted', headers: { location: { type: 'string' } } }, 204: { type: 'null' }, 412: { description: 'Changed' } } }), {
    headers: { type: 'object', properties: { 'idempotency-key': IdempotencyKey } },
    response: {
      202: { description: 'Accepted', headers: { location: { type: 'string' }, ...REPLAYED } },
      204: { type: 'null', headers: REPLAYED },
      409: { ...problem(IdempotencyInProgress, RUNNING), headers: { 'retry-after': { type: 'integer', minimum: 1, maximum: 3600, description: 'Seconds to wait before retrying' } } },
      412: { description: 'Changed' },
      422: { ...problem(IdempotencyKeyReused, REUSED), headers: {} }
    }
  })
})

t.test('what the route itself takes and refuses stays', async t => {
  const { headers, response } = withIdempotency({
    summary: 'Do it',
    headers: { type: 'object', required: ['if-match'], properties: { 'if-match': { type: 'string' } } },
    response: { 200: {}, 409: problem(PreconditionFailed, 'It was changed'), 422: { description: 'No body that names codes' } }
  })
  t.strictSame(headers, { type: 'object', required: ['if-match'], properties: { 'if-match': { type: 'string' }, 'idempotency-key': IdempotencyKey } } as object)
  const [own, shared] = [problem(PreconditionFailed, ''), problem(IdempotencyInProgress, '')]
  t.strictSame(response[409], {
    ...own,
    headers: {},
    description: `It was changed. Or: ${RUNNING}`,
    'x-codes': ['PRECONDITION_FAILED', 'IDEMPOTENCY_IN_PROGRESS'],
    examples: [...own.examples, ...shared.examples]
  } as object)
  t.strictSame(response[422], { ...problem(IdempotencyKeyReused, REUSED), headers: {} } as object)
})
