import { Unavailable } from '../../shared/errors.ts'
import { untilUncontended } from '../../shared/optimistic.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import { publicUser } from './account-state.ts'
import type { Accounts } from './accounts.ts'
import type { UsersEntry, UsersService } from './contract.ts'

export interface MailOptions {
  accounts: Accounts
  now: () => Date
}

/** What is known of mails to an account's address, for the module that hears of it. */
export function createMail ({ accounts: { getFresh, nextVersion, save }, now }: MailOptions): Pick<UsersService, 'noteMail'> {
  return {
    async noteMail (id, { email, status, at }, correlationId) {
      const noted = await untilUncontended(Unavailable, async () => {
        const previous = await getFresh(id)
        if (previous?.email !== email) return { isNoted: false }
        // A repetition, or an older receipt that came late.
        if (previous.mail !== undefined && Date.parse(previous.mail.since) >= at.getTime()) return { isNoted: previous.mail.status === status && Date.parse(previous.mail.since) === at.getTime() }
        const next = nextVersion(previous, { mail: { status, since: at.toISOString() } })
        const entry: UsersEntry = outboxEntry('user.updated', { subject: id, correlationId, data: { user: publicUser(next), changed: ['mail'] }, now: now() })
        return await save(previous, next, entry) === undefined ? undefined : { isNoted: true }
      })
      return noted.isNoted
    }
  }
}
