import { DeleteCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { createRandom } from '../../bench/lib/random.ts'
import { AUTH_ENTRIES } from '../../src/modules/auth/schemas.ts'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { USERS_ENTRIES } from '../../src/modules/users/schemas.ts'
import { newId } from '../../src/shared/ids.ts'
import type { OutboxEntry } from '../../src/shared/outbox.ts'
import { adminOf, bearerOf } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { startEventBus } from '../event-bus.ts'
import { deliver, entryRecord, leaveBehind, waiting } from '../outbox.ts'
import { report, SIZE, workload } from '../promise.ts'
import { pump } from '../pump.ts'

// Accounts live a whole life, and what their outboxes announce is delivered again, and partly for the first time, when it
// is over: each entry one to three times, in an order of chance.

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: bus.env })
const admin = await adminOf(app)
const adminToken = (await bearerOf(app, admin.userId)).authorization

/** The first seed. The same one gives the same orders. */
const SEED = Number(process.env['SEED'] ?? (SIZE === 'short' ? 1 : randomInt(1_000_000)))

const ENDINGS = ['suspended', 'reactivated', 'changed again', 'deleted'] as const
type Ending = typeof ENDINGS[number]

/** Entries that a life goes on without: they are held back, so that their first delivery is late. */
const HELD_BACK = ['user.invited', 'user.verified', 'user.updated', 'user.signed-out', 'user.email-changed', 'user.suspended']

/** Mails that an entry which is held back may cause at its first, late delivery. A deleted account gets none. */
const MAY_MAIL: Record<Ending, string[]> = {
  // The owner of a former address must hear of a change, whatever became of the account.
  suspended: ['user.email-changed'],
  reactivated: ['user.email-changed', 'code.requested', 'email-change.requested'],
  'changed again': ['user.email-changed', 'code.requested', 'email-change.requested'],
  deleted: []
}

let n = 0

/** Lives a life. Resolves to every entry of it, and to what must hold from then on. */
async function live (ending: Ending, random: () => number) {
  const [first, second, third] = [1, 2, 3].map(i => `late-${++n}-${i}@example.com`) as [string, string, string]
  const entries: OutboxEntry[] = []
  const held = new Set<string>()

  /** Keeps what waits, has it handled, and loses some of it on the way. */
  async function settle ({ holdsAll = false } = {}) {
    for (const entry of await waiting(app)) {
      entries.push(entry)
      if (!holdsAll && !(HELD_BACK.includes(entry.type) && random() < 0.5)) continue
      held.add(entry.eventId)
      const Key = entry.type in AUTH_ENTRIES ? { pk: `outbox#${entry.eventId}`, sk: 'outbox' } : { userId: `outbox#${entry.eventId}` }
      await app.dynamodb.send(new DeleteCommand({ TableName: entry.type in AUTH_ENTRIES ? 'AuthTable' : 'UsersTable', Key }))
    }
    await pump(app, engines)
  }
  async function signIn (email: string): Promise<Tokens & { sid: string }> {
    const { challengeId } = await app.auth.requestCode({ email, network: newId() }, 'x')
    await settle()
    const tokens = await app.auth.createTokens({ grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) }, 'x')
    return { ...tokens, sid: sidOf(tokens) }
  }
  async function changeTo (email: string, { user: { id, email: former }, sid }: Tokens & { sid: string }) {
    const caller = { userId: id, sid, email: former }
    const { challengeId } = await app.auth.requestEmailChange(caller, { email, network: newId(), operation: { id: newId(), startedAt: new Date() } }, 'x')
    await settle()
    await app.auth.verify(challengeId, app.keys.codeOf(challengeId), 'x')
    await settle()
  }

  for (let i = 0; i < 2; i++) {
    await app.inject({ method: 'POST', url: '/v2/users/invitations', headers: { authorization: adminToken }, payload: { email: first, name: 'Late Lifetime' } })
    await settle()
  }
  const opened = await signIn(first)
  const { id } = opened.user
  await app.users.update({ userId: id }, id, { name: 'Later Lifetime' }, 'x')
  await settle()
  await app.auth.endSessions({ userId: id, sid: opened.sid, email: first }, 'x')
  await settle()
  let session = await signIn(first)
  // Requests whose mails never came.
  await app.auth.requestCode({ email: first, network: newId() }, 'x')
  await app.auth.requestCode({ email: first, registration: { name: 'Registered Again', locale: 'en' }, network: newId() }, 'x')
  await app.auth.requestEmailChange({ userId: id, sid: session.sid, email: first }, { email: third, network: newId(), operation: { id: newId(), startedAt: new Date() } }, 'x')
  await settle({ holdsAll: true })
  await changeTo(second, session)
  if (ending === 'changed again') {
    session = await signIn(second)
    await changeTo(third, session)
  } else {
    await app.users.update(admin, id, { status: 'SUSPENDED' }, 'x')
    await settle()
    if (ending === 'reactivated') {
      await app.users.update(admin, id, { status: 'ACTIVE' }, 'x')
      await settle()
    }
    if (ending === 'deleted') {
      await app.users.remove(admin, id, 'x')
      await settle()
    }
  }
  const address = ending === 'changed again' ? third : second
  const last = ending === 'reactivated' || ending === 'changed again' ? await signIn(address) : undefined
  await settle()
  return { id, addresses: [first, second, third], address, entries, held, last }
}

const sidOf = ({ accessToken }: Tokens) => (JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { sid: string }).sid
const queued = () => app.logLines.reduce((sum, line) => sum + Number(line['MailsQueued'] ?? 0), 0)

/** Everything in the tables that names an account. */
async function traces (id: string, addresses: string[]): Promise<string[]> {
  const found: string[] = []
  for (const TableName of ['UsersTable', 'AuthTable', 'EmailTable']) {
    const { Items = [] } = await app.dynamodb.send(new ScanCommand({ TableName, ConsistentRead: true }))
    found.push(...Items.map(item => JSON.stringify(item)).filter(text => [id, ...addresses].some(needle => text.includes(needle))))
  }
  return found
}

/** Each entry one to three times, in an order of chance. */
function shuffled (entries: OutboxEntry[], random: () => number): OutboxEntry[] {
  const all = entries.flatMap(entry => Array.from({ length: 1 + Math.floor(3 * random()) }, () => entry))
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all
}

/** What a consumer knows that keeps, of each account, the event with the highest version. */
function viewOf (id: string) {
  const newest = bus.eventsOf(id).reduce<{ type: string, data: { userVersion: number } } | undefined>((kept, event) => {
    const data = event.data as { userVersion: number }
    return kept === undefined || data.userVersion > kept.data.userVersion ? { type: event.type, data } : kept
  }, undefined)
  return newest === undefined ? undefined : { type: newest.type, ...newest.data } as Record<string, unknown>
}

const types = [...Object.keys(USERS_ENTRIES), ...Object.keys(AUTH_ENTRIES)]

t.test('entries of every type, late, repeated and out of order, do only what the present allows', async (t: Test) => {
  const rounds = workload({ short: 1, full: 3 })
  const seen = { lives: 0, deliveries: 0, mailsToDeleted: 0, sessionsEnded: 0, writtenBack: 0, otherFaults: 0 }
  const covered = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    for (const [i, ending] of ENDINGS.entries()) {
      const seed = SEED + ENDINGS.length * round + i
      const random = createRandom(seed)
      const life = await live(ending, random)
      const before = { mails: engines.mails.length, queued: queued(), traces: await traces(life.id, life.addresses) }
      const present = await app.users.getFresh(life.id)
      // A life takes a second or two. A code is requested for ten minutes, and its entry is late after ten seconds.
      const late = life.entries.map(entry => entry.type === 'code.requested' ? { ...entry, occurredAt: new Date(Date.parse(entry.occurredAt) - 60_000).toISOString() } : entry)
      const order = shuffled(late, random)
      while (order.length > 0) {
        const batch = order.splice(0, 1 + Math.floor(4 * random()))
        for (const entry of batch) {
          await leaveBehind(app, entry)
          covered.add(entry.type)
        }
        for (const isAuth of [false, true]) {
          // An event source has the entries of one table.
          const records = batch.filter(({ type }) => type in AUTH_ENTRIES === isAuth).map(entryRecord)
          t.same(await deliver(app, ...records), [], `seed ${seed}`)
        }
        seen.deliveries += batch.length
      }
      await pump(app, engines)

      seen.lives++
      const fault = (what: keyof typeof seen, found: unknown[]) => {
        if (found.length === 0) return
        seen[what] += found.length
        t.fail(`seed ${seed}, ${ending}: ${what}`, { found })
      }
      const mails = engines.mails.slice(before.mails)
      const byEntry = new Map(life.entries.map(entry => [`<${entry.eventId}@example.com>`, entry]))
      if (ending === 'deleted') {
        fault('mailsToDeleted', mails.map(({ subject }) => subject))
        if (queued() > before.queued) fault('mailsToDeleted', [`${queued() - before.queued} queued`])
        // A late request for a code may open a challenge, as for any address without an account. It holds a pseudonym.
        fault('writtenBack', (await traces(life.id, life.addresses)).filter(text => !text.includes('"challenge#') || life.addresses.some(address => text.includes(address))))
      } else {
        const perEntry = mails.map(({ messageId }) => byEntry.get(messageId!))
        fault('otherFaults', perEntry.filter(entry => entry === undefined || !life.held.has(entry.eventId) || !MAY_MAIL[ending].includes(entry.type)))
        fault('otherFaults', perEntry.filter((entry, i) => perEntry.indexOf(entry) !== i))
      }
      if (!isDeepStrictEqual(await app.users.getFresh(life.id), present)) fault('otherFaults', ['the account has changed'])
      if (life.last !== undefined) {
        const { refreshToken, sid } = life.last
        const isLive = await app.auth.listSessions({ userId: life.id, sid, email: life.address }).then(list => list.some(({ id }) => id === sid), () => false)
        const refreshed = await app.auth.createTokens({ grantType: 'refresh_token', refreshToken }, 'x').then(() => true, () => false)
        if (!isLive || !refreshed) fault('sessionsEnded', [sid])
      }
      const view = viewOf(life.id)
      const isPresent = present === undefined ? view?.['type'] === 'user.deleted' : view?.['userVersion'] === present.version && view['email'] === present.email && view['status'] === present.status
      if (!isPresent) fault('otherFaults', ['a consumer that goes by versions knows another present'])
    }
  }
  t.same([...covered].sort(), types.toSorted(), 'entries of each type')
  report(t, {
    promise: 36,
    figure: `${seen.lives} lives, ${seen.deliveries} deliveries of ${covered.size} types (seed ${SEED}): ${seen.mailsToDeleted} mails to deleted accounts, ${seen.sessionsEnded} sessions ended that should last, ${seen.writtenBack} addresses written back`,
    holds: seen.mailsToDeleted + seen.sessionsEnded + seen.writtenBack + seen.otherFaults === 0 && covered.size === types.length
  })
})
