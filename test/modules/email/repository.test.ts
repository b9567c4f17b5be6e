import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createRepository } from '../../../src/modules/email/repository.ts'
import { intercept } from '../../faults.ts'
import { startTable, TABLE } from './parts.ts'

const { dynamodb, stored } = await startTable(t)
const AT = Date.parse('2027-03-01T12:00:00.000Z')
const SECONDS = AT / 1000
/** 30 days, longer than a queue keeps a message. */
const RETENTION = 2_592_000
let now = AT
const repository = createRepository({ dynamodb, table: TABLE, now: () => now })
t.beforeEach(() => { now = AT })
const put = (Item: object) => dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...Item } }))

t.test('a message is leased to one delivery, until its time is over', async t => {
  const id = randomUUID()
  t.same(await repository.lease(id, 'first', AT + 1000), { state: 'leased' })
  t.same(await stored(id), { messageId: id, state: 'sending', leaseId: 'first', leaseUntil: AT + 1000, expiresAt: SECONDS + RETENTION })
  now = AT + 1000
  t.same(await repository.lease(id, 'second', AT + 9000), { state: 'busy', until: AT + 1000 }, 'in its last millisecond too')
  t.same(await repository.lease(id, 'first', AT + 9000), { state: 'leased' }, 'its own, after an answer that was lost')
  t.match(await stored(id), { leaseId: 'first', leaseUntil: AT + 1000 })
  now = AT + 1001
  t.same(await repository.lease(id, 'second', AT + 9000), { state: 'leased' })
  t.match(await stored(id), { leaseId: 'second', leaseUntil: AT + 9000 })
})

t.test('a lease is released by the delivery that holds it only', async t => {
  const id = randomUUID()
  await repository.lease(id, 'first', AT + 1000)
  await repository.release(id, 'another')
  t.match(await stored(id), { leaseId: 'first' })
  await repository.release(id, 'first')
  t.equal(await stored(id), undefined)
  await repository.release(id, 'first')
})

t.test('what was sent stays sent for 30 days, whoever holds the lease', async t => {
  const id = randomUUID()
  await repository.lease(id, 'first', AT + 1000)
  now = AT + 1999
  await repository.markSent(id)
  const sent = { messageId: id, state: 'sent', expiresAt: SECONDS + 1 + RETENTION }
  t.same(await stored(id), sent)
  await repository.release(id, 'first')
  t.same(await stored(id), sent)
  t.same(await repository.lease(id, 'second', AT + 9000), { state: 'sent' })
  now = (SECONDS + 1 + RETENTION) * 1000 + 999
  t.same(await repository.lease(id, 'second', now + 1), { state: 'sent' }, 'in its last second too')
  now += 1
  t.same(await repository.lease(id, 'second', now + 1), { state: 'leased' }, 'DynamoDB removes what has expired days later')
})

t.test('a record of another form is not taken for one of ours', async t => {
  const id = randomUUID()
  await put({ messageId: id, state: 'lost', leaseId: 'first', expiresAt: SECONDS + 100 })
  await t.rejects(repository.lease(id, 'second', AT + 1000), { code: 'EMAIL_RECORD_INVALID', statusCode: 500 })
  await put({ messageId: 'address#of-another-form', status: 'gone', at: AT, expiresAt: SECONDS + 100 })
  await t.rejects(repository.addressOf(['of-another-form']), { code: 'EMAIL_RECORD_INVALID' })
  await put({ messageId: 'address#with-more', status: 'bounced', at: AT, expiresAt: SECONDS + 100, email: 'ada@example.com' })
  await t.rejects(repository.addressOf(['with-more']), { code: 'EMAIL_RECORD_INVALID' })
})

t.test('of an address the newest is known, under any of its pseudonyms, until it expires', async t => {
  const note = (pseudonym: string, status: 'bounced' | 'complained' | 'readmitted', at: number, options?: { isKnown: boolean }) =>
    repository.noteAddress(pseudonym, { status, at, expiresAt: SECONDS + 100 }, options)
  const item = async (pseudonym: string) => (await dynamodb.send(new GetCommand({ TableName: TABLE, Key: { messageId: `address#${pseudonym}` } }))).Item
  t.equal(await repository.addressOf(['a', 'b']), undefined)
  t.equal(await note('a', 'readmitted', AT, { isKnown: true }), false, 'nothing is known that could be corrected')
  t.equal(await item('a'), undefined)
  t.equal(await note('a', 'bounced', AT), true)
  t.same(await item('a'), { messageId: 'address#a', status: 'bounced', at: AT, expiresAt: SECONDS + 100 })
  t.equal(await note('a', 'complained', AT), false, 'the same moment is nothing newer')
  t.equal(await note('a', 'complained', AT - 1), false)
  t.equal(await note('a', 'readmitted', AT, { isKnown: true }), false)
  t.match(await item('a'), { status: 'bounced' })
  t.equal(await note('a', 'readmitted', AT + 1, { isKnown: true }), true)
  t.equal(await note('b', 'complained', AT + 2), true)
  t.match(await repository.addressOf(['a']), { status: 'readmitted', at: AT + 1 })
  for (const pseudonyms of [['a', 'b'], ['b', 'a'], ['b', 'none']]) t.match(await repository.addressOf(pseudonyms), { status: 'complained', at: AT + 2 }, pseudonyms.join())

  now = AT + 99_999
  t.match(await repository.addressOf(['b']), { at: AT + 2 })
  now = AT + 100_000
  t.equal(await repository.addressOf(['a', 'b']), undefined, 'DynamoDB removes what has expired days later')
  now = AT
  await repository.forgetAddress('b')
  t.equal(await item('b'), undefined)
  t.match(await repository.addressOf(['a', 'b']), { at: AT + 1 })
})

t.test('an address is read as it is now, and not as a replica may have it', async t => {
  const consistent: unknown[] = []
  const stop = intercept(dynamodb, { command: 'GetItemCommand', onTheLine: false }, async ({ input, send }) => {
    consistent.push(input['ConsistentRead'])
    return await send()
  })
  await repository.addressOf(['a', 'b'])
  stop()
  t.same(consistent, [true, true])
})
