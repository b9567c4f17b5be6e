import t from 'tap'
import { isConditionRefused, isConflict, isErrorNamed, isOutage, isRefusedAt, isReset, isUnavailable, type ConditionRefused } from '../../src/shared/aws-errors.ts'
import { BreakerOpen } from '../../src/shared/breaker.ts'
import { itemMetBy, refusedPositions, unlessRefused } from '../../src/shared/conditional-write.ts'

const named = (name: string, more: object = {}) => Object.assign(new Error(name), { name, ...more })
const cancelled = (...codes: (string | undefined)[]) => named('TransactionCanceledException', { CancellationReasons: codes.map((Code, i) => ({ ...(Code === undefined ? {} : { Code }), Item: { n: { N: String(i) } } })) }) as unknown as ConditionRefused
/** Names as they are in AWS's documentation, and what each error means. */
const THROTTLES = ['ThrottlingException', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded', 'LimitExceededException']
const CONFLICTS = ['TransactionConflictException', 'TransactionInProgressException']
const FAILURES = ['TimeoutError', 'AbortError', 'NetworkingError', 'InternalServerError', 'ServiceUnavailable', 'CredentialsProviderError']
const CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_STREAM_PREMATURE_CLOSE']

t.test('each error of AWS is of the kind that its name says', async t => {
  const kinds = (error: unknown) => ({ conflict: isConflict(error), outage: isOutage(error), unavailable: isUnavailable(error), refused: isConditionRefused(error) })
  const no = { conflict: false, outage: false, unavailable: false, refused: false }
  for (const name of THROTTLES) {
    t.same(kinds(named(name)), { ...no, unavailable: true }, name)
    t.same(kinds(named(name, { $metadata: { httpStatusCode: 503 } })), { ...no, unavailable: true }, `${name} with a status is no outage either`)
  }
  for (const name of CONFLICTS) t.same(kinds(named(name)), { ...no, conflict: true, unavailable: true }, name)
  for (const name of FAILURES) t.same(kinds(named(name)), { ...no, outage: true, unavailable: true }, name)
  for (const code of CODES) t.same(kinds(Object.assign(new Error('x'), { code })), { ...no, outage: true, unavailable: true }, code)
  for (const httpStatusCode of [500, 503]) t.same(kinds(named('Other', { $metadata: { httpStatusCode } })), { ...no, outage: true, unavailable: true }, String(httpStatusCode))
  t.same(kinds(named('Other', { $metadata: { httpStatusCode: 499 } })), no)
  t.same(kinds(named('Other', { $retryable: {} })), { ...no, unavailable: true })
  t.same(kinds(new BreakerOpen('x')), { ...no, unavailable: true })
  t.same(kinds(named('ConditionalCheckFailedException')), { ...no, refused: true })
  t.same(kinds(cancelled('None', 'ConditionalCheckFailed')), { ...no, refused: true })
  t.same(kinds(cancelled('None', 'TransactionConflict')), { ...no, conflict: true, unavailable: true })
  for (const code of ['ThrottlingError', 'ProvisionedThroughputExceeded']) t.same(kinds(cancelled('None', code)), { ...no, unavailable: true }, code)
  for (const other of [named('ValidationException'), cancelled('None', undefined), {}, { name: '', code: '' }, null, undefined, 'TimeoutError', 7]) t.same(kinds(other), no, String(other))
})

t.test('an error has the name that it has, and is a lost connection or not', async t => {
  t.equal(isErrorNamed(named('NoSuchKey'), 'NoSuchKey'), true)
  t.equal(isErrorNamed(named('NoSuchKey'), 'NotFound'), false)
  t.equal(isErrorNamed(null, 'NoSuchKey'), false)
  t.same(['ECONNRESET', 'EPIPE', 'ECONNREFUSED', ''].map(code => isReset({ code })), [true, true, false, false])
  t.equal(isReset(undefined), false)
})

t.test('a refused transaction says which of its writes was refused, and by which item', async t => {
  const refusal = cancelled('None', 'ConditionalCheckFailed', 'TransactionConflict', 'ConditionalCheckFailed', undefined)
  t.same([0, 1, 2, 3, 4, 5].map(position => isRefusedAt(refusal, position)), [false, true, false, true, false, false])
  t.same(refusedPositions(refusal), [1, 3])
  t.same(itemMetBy(refusal, 1), { n: { N: '1' } })
  t.equal(itemMetBy(refusal, 5), undefined)
  const single = named('ConditionalCheckFailedException') as ConditionRefused
  t.same([isRefusedAt(single, 0), refusedPositions(single), itemMetBy(single, 0)], [false, [], undefined])
})

t.test('a conditional write is repeated after a conflict, some times, and after nothing else', async t => {
  const writes = (...errors: (Error | undefined)[]) => {
    const write = Object.assign(async () => {
      const error = errors[write.count++]
      if (error !== undefined) throw error
      return 'written'
    }, { count: 0 })
    return write
  }
  const conflict = named('TransactionConflictException')
  const once = writes()
  t.equal(await unlessRefused(once), 'written')
  const repeated = writes(conflict, conflict)
  t.same([await unlessRefused(repeated), repeated.count], ['written', 3])
  const contended = writes(...Array<Error>(20).fill(conflict))
  await t.rejects(unlessRefused(contended), { name: 'TransactionConflictException' })
  t.equal(contended.count, 8)
  const broken = writes(named('ValidationException'))
  await t.rejects(unlessRefused(broken, () => 'refused'), { name: 'ValidationException' })
  t.equal(broken.count, 1)
  const refused = writes(cancelled('ConditionalCheckFailed'))
  t.equal(await unlessRefused(refused), undefined)
  t.same(await unlessRefused(writes(cancelled('None', 'ConditionalCheckFailed')), refusedPositions), [1])
  t.equal(refused.count, 1)
})
