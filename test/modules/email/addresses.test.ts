import t from 'tap'
import { createAddresses, RECEIPT_LIFE } from '../../../src/modules/email/addresses.ts'
import { createRepository } from '../../../src/modules/email/repository.ts'
import type { EmailType } from '../../../src/modules/email/schemas.ts'
import { recordCalls } from '../../faults.ts'
import { startTable, TABLE } from './parts.ts'

const { dynamodb, stored } = await startTable(t)
const AT = Date.parse('2027-03-01T12:00:00.000Z')
let now = AT
t.beforeEach(() => { now = AT })
const repository = createRepository({ dynamodb, table: TABLE, now: () => now })
const addresses = createAddresses({ repository, recipients: email => [`new-${email}`, `old-${email}`], now: () => now })
const TYPES: readonly EmailType[] = ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE', 'EMAIL_CHANGED_NOTICE']
/** The types of mails that an address does not get now, and why. */
const stopped = async (email: string) =>
  (await Promise.all(TYPES.map(async type => [type, await addresses.statusAgainst({ type, email })] as const))).filter(([, status]) => status !== undefined).map(part => part.join(' '))

t.test('each status stops the mails that it is about', async t => {
  t.same(await stopped('a@example.com'), [])
  t.equal(await addresses.note('a@example.com', 'bounced', AT), 'noted')
  t.same(await stopped('a@example.com'), ['WELCOME_EMAIL bounced', 'SIGN_IN_CODE bounced', 'ACCOUNT_EXISTS bounced', 'EMAIL_CHANGE_CODE bounced'])
  now += 1
  t.equal(await addresses.note('a@example.com', 'complained', now), 'noted')
  t.same(await stopped('a@example.com'), ['WELCOME_EMAIL complained', 'EMAIL_CHANGE_CODE complained'])
  now += 1
  await addresses.readmit('a@example.com', new Date(now))
  t.same(await stopped('a@example.com'), [])
  t.match(await stored('address#new-a@example.com'), { status: 'readmitted', at: now, expiresAt: Math.ceil((now + RECEIPT_LIFE) / 1000) })
  t.equal(await addresses.note('a@example.com', 'bounced', now), 'known', 'a receipt from before that')
  t.same(await stopped('a@example.com'), [])
})

t.test('a receipt counts for a week, and a time that is still to come counts from now', async t => {
  t.equal(RECEIPT_LIFE, 604_800_000)
  t.equal(await addresses.note('b@example.com', 'bounced', AT - RECEIPT_LIFE), 'late')
  t.equal(await stored('address#new-b@example.com'), undefined)
  t.equal(await addresses.note('b@example.com', 'bounced', AT - RECEIPT_LIFE + 1), 'noted')
  t.same(await stored('address#new-b@example.com'), { messageId: 'address#new-b@example.com', status: 'bounced', at: AT - RECEIPT_LIFE + 1, expiresAt: AT / 1000 + 1 })
  t.equal(await addresses.note('b@example.com', 'bounced', AT + 3_600_000), 'noted')
  t.match(await stored('address#new-b@example.com'), { at: AT, expiresAt: (AT + RECEIPT_LIFE) / 1000 })
  now += 1
  await addresses.readmit('b@example.com', new Date(AT + 3_600_000))
  t.match(await stored('address#new-b@example.com'), { status: 'readmitted', at: AT + 1 })
})

t.test('a proof of an address of which nothing is known leaves nothing, and a notice needs no look', async t => {
  await addresses.readmit('c@example.com', new Date(AT))
  for (const pseudonym of ['new', 'old']) t.equal(await stored(`address#${pseudonym}-c@example.com`), undefined)
  const calls = recordCalls({ dynamodb, sqs: dynamodb } as unknown as Parameters<typeof recordCalls>[0])
  t.equal(await addresses.statusAgainst({ type: 'EMAIL_CHANGED_NOTICE', email: 'c@example.com' }), undefined)
  t.same(calls.stop(), [])
})

t.test('an address is forgotten under each of its pseudonyms', async t => {
  for (const pseudonym of ['new', 'old']) await repository.noteAddress(`${pseudonym}-d@example.com`, { status: 'bounced', at: AT, expiresAt: AT / 1000 + 100 })
  await addresses.forget('d@example.com')
  for (const pseudonym of ['new', 'old']) t.equal(await stored(`address#${pseudonym}-d@example.com`), undefined)
})
