import { newChallenge } from '../../../src/modules/auth/codes.ts'
import type { AuthEntry } from '../../../src/modules/auth/contract.ts'
import { newId } from '../../../src/shared/ids.ts'
import { outboxEntry } from '../../../src/shared/outbox.ts'
import { adminOf } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines, type Test } from '../../engines.ts'
import { startEventBus } from '../../event-bus.ts'
import { deliver, entryRecord, leaveBehind } from '../../outbox.ts'

/** The app on its engines, and what the tests of its entries do with it. */
export async function startEvents (t: Test) {
  const engines = await startEngines(t)
  const bus = await startEventBus(t)
  const app = await buildTestApp(t, engines, { env: bus.env })
  const admin = await adminOf(app)

  let n = 0
  const address = () => `code-${++n}@example.com`
  const { mailsTo } = engines
  const subjects = (email: string) => mailsTo(email).map(({ subject }) => subject)
  const ask = (email: string, name?: string, correlationId = 'x') =>
    app.auth.requestCode({ email, network: newId(), ...(name === undefined ? {} : { registration: { name, locale: 'en' } }) }, correlationId)
  const exchange = (challengeId: string, code: string) => app.auth.createTokens({ grantType: 'code', challengeId, code }, 'x')

  /** An entry that asks for a code, as if it had been put at a moment. */
  function asked (email: string, name?: string, at = new Date()): AuthEntry {
    const data = { ...newChallenge(at), email, userId: newId(), network: 'x', ...(name === undefined ? {} : { registration: { name, locale: 'en' } }) }
    return outboxEntry('code.requested', { subject: email, correlationId: 'test', data, now: at })
  }
  /** Puts an entry and delivers it, as often as wanted. */
  async function deliverAsked (entry: AuthEntry): Promise<string[]> {
    await leaveBehind(app, entry)
    return await deliver(app, entryRecord(entry))
  }
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)

  return { engines, bus, app, admin, address, mailsTo, subjects, ask, exchange, asked, deliverAsked, minutesAgo }
}
