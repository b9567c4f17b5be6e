import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createAddresses, RECEIPT_LIFE } from '../../../src/modules/email/addresses.ts'
import type { MailReceipt } from '../../../src/modules/email/contract.ts'
import { createReceipts } from '../../../src/modules/email/receipts.ts'
import { createRepository } from '../../../src/modules/email/repository.ts'
import { startTable, TABLE, watch } from './parts.ts'
import { emailMessage } from './records.ts'
import { bounce, complaint, receiptRecord, rejection } from './ses-events.ts'

type About = Parameters<typeof bounce>[0]
const { dynamodb } = await startTable(t)

function createWorld () {
  const { log, count, counted, logged } = watch()
  const followed: (MailReceipt & { correlationId: string })[] = []
  let refreshed = 0
  const addresses = createAddresses({ repository: createRepository({ dynamodb, table: TABLE }), recipients: email => [email] })
  const receipts = createReceipts({ addresses, keys: { async refresh () { refreshed++ } }, count, log })
  const world = { counted, logged, followed, failure: undefined as Error | undefined, refreshed: () => refreshed, handle: async (...records: ReturnType<typeof receiptRecord>[]) => (await receipts.handleBatch({ Records: records })).batchItemFailures }
  receipts.follow(async (receipt, correlationId) => {
    if (world.failure !== undefined) throw world.failure
    followed.push({ ...receipt, correlationId })
  })
  return world
}

t.test('each receipt is counted and logged as what it is, and those who follow hear of what stops mails', async t => {
  const world = createWorld()
  const at = new Date()
  const cases: [name: string, event: (about: About, options: { at: Date }) => unknown, metric: string, line: Record<string, string>, isFollowed: boolean][] = [
    ['bounce', bounce, 'MailsBounced', { status: 'bounced', msg: 'a receipt stops mails to an address' }, true],
    ['complaint', complaint, 'MailsComplained', { status: 'complained', msg: 'a receipt stops mails to an address' }, true],
    ['full mailbox', (about: About) => bounce(about, { at, bounceType: 'Transient' }), 'MailsUndelivered', { msg: 'mail not delivered' }, false],
    ['rejection', rejection, 'MailsUndelivered', { msg: 'mail not delivered' }, false],
    ['late', (about: About) => bounce(about, { at: new Date(at.getTime() - RECEIPT_LIFE) }), 'ReceiptsIgnored', { reason: 'late', msg: 'receipt ignored' }, false],
    ['foreign', (about: About) => bounce(about, { at, tags: {} }), 'ReceiptsIgnored', { reason: 'foreign', msg: 'receipt ignored' }, false],
    ['no spam', (about: About) => complaint(about, { at, feedbackType: 'not-spam' }), 'ReceiptsIgnored', { reason: 'neutral', msg: 'receipt ignored' }, false]
  ]
  for (const [name, event, metric, line, isFollowed] of cases) {
    const about = emailMessage()
    const record = receiptRecord(event(about, { at }))
    t.same(await world.handle(record), [], name)
    t.same(world.counted(), { [metric]: 1 }, name)
    const isOurs = !['foreign', 'no spam'].includes(name)
    t.same(world.logged(), [{
      level: 'info',
      sqsMessageId: record.messageId,
      ...(isOurs ? { messageId: about.messageId, correlationId: 'from-the-mail' } : {}),
      ...('status' in line ? { userId: about.userId } : {}),
      ...('reason' in line ? {} : { type: about.type }),
      ...line
    }], name)
    t.same(world.followed.splice(0), isFollowed ? [{ userId: about.userId, email: about.email, status: line['status'], at, correlationId: 'from-the-mail' }] : [], name)
  }
  t.equal(world.refreshed(), 7, 'before each batch: the secret of pseudonyms may be another by now')
})

t.test('a receipt that comes again is not counted again, and is told again', async t => {
  const world = createWorld()
  const record = receiptRecord(bounce(emailMessage()))
  world.failure = new Error('the follower is down')
  t.same(await world.handle(record), [{ itemIdentifier: record.messageId }])
  t.match(world.logged().at(-1), { level: 'warn', sqsMessageId: record.messageId, correlationId: 'from-the-mail', receives: 1, err: 'the follower is down', msg: 'receipt failed' })
  t.same(world.counted(), { MailsBounced: 1 })
  world.failure = undefined
  t.same(await world.handle(record), [])
  t.same(world.counted(), {})
  t.same(world.logged(), [])
  t.equal(world.followed.length, 1)
})

t.test('a receipt that cannot be read fails alone, and one without a correlation id gets one', async t => {
  const world = createWorld()
  const about = emailMessage()
  const bad = { ...receiptRecord('{'), attributes: { ...receiptRecord('{').attributes, ApproximateReceiveCount: '2' } }
  t.same(await world.handle(bad, receiptRecord(bounce(about, { correlationId: 'not an id' }))), [{ itemIdentifier: bad.messageId }])
  t.match(world.logged().find(({ level }) => level === 'warn'), { sqsMessageId: bad.messageId, receives: 2, err: 'EMAIL_RECEIPT_INVALID' })
  t.match(world.followed, [{ userId: about.userId, correlationId: /^[0-9a-f-]{36}$/ }])
  const alone = { ...bad, messageId: randomUUID() }
  t.same(await world.handle(alone), [{ itemIdentifier: alone.messageId }], 'a batch that failed as a whole is reported like any other')
})
