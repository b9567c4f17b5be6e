import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { Outboxes } from '../../plugins/outbox/index.ts'
import type { EmailService } from '../email/contract.ts'
import type { User, UsersService } from '../users/contract.ts'
import { CODE_LIMITS, mailboxOf } from './allowance.ts'
import { newChallenge } from './codes.ts'
import type { AuthEntry, AuthService } from './contract.ts'
import type { AuthRepository } from './repository.ts'

export interface EventsOptions {
  outbox: Pick<Outboxes, 'on'>
  repository: Pick<AuthRepository, 'openChallenge' | 'deleteSessions' | 'forgetCodes'>
  service: Pick<AuthService, 'requestCode'>
  users: Pick<UsersService, 'openAccount' | 'findByEmail' | 'follow'>
  email: Pick<EmailService, 'enqueue'>
  keys: Pick<Keys, 'pseudonym' | 'pseudonyms'>
  count: Count
  now: () => Date
}

/** Registers what follows from a code that was asked for, and from what happens to accounts. Every step may be repeated. */
export function registerEvents ({ outbox, repository, service, users, email, keys, count, now }: EventsOptions): void {
  const isOver = (expiresAt: string) => Date.parse(expiresAt) <= now().getTime()

  /** Which mail, if any, an account gets that a code was asked for. */
  function mailFor (account: User | undefined, isRegistration: boolean) {
    if (account === undefined || account.status === 'SUSPENDED') return undefined
    if (account.status === 'PENDING_VERIFICATION') return 'WELCOME_EMAIL'
    return isRegistration ? 'ACCOUNT_EXISTS' : 'SIGN_IN_CODE'
  }

  async function codeRequested (entry: AuthEntry): Promise<void> {
    const { eventId, correlationId, data: { email: address, userId, network, registration, ...asked } } = entry
    // Late: an account that still waits for its first code gets a fresh one; its id is the entry's, whenever this is repeated.
    const isLate = isOver(asked.expiresAt)
    const challenge = isLate ? newChallenge(now(), eventId) : { challengeId: asked.challengeId, expiresAt: asked.expiresAt }

    const account = registration === undefined
      ? await users.findByEmail(address)
      : await users.openAccount({ ...registration, ...challenge, userId, email: address }, correlationId)
    const type = mailFor(account, registration !== undefined)
    if (isLate && type !== 'WELCOME_EMAIL') return count('CodesExpired')

    // Opened for every address: the token endpoint must not show by its work which ones have an account.
    await repository.openChallenge({
      challengeId: challenge.challengeId,
      userId: account?.id ?? userId,
      address: keys.pseudonym(address),
      expiresAt: Math.floor(Date.parse(challenge.expiresAt) / 1000)
    }, { address: keys.pseudonym(mailboxOf(address)), network, limits: CODE_LIMITS })
    if (account === undefined || type === undefined) return
    // A pending account's mail quotes the registration that it confirms.
    const said = account.status === 'PENDING_VERIFICATION' && registration !== undefined ? registration : account
    await email.enqueue({ type, messageId: eventId, userId: account.id, email: account.email, name: said.name, locale: said.locale, ...challenge }, correlationId)
  }

  outbox.on<AuthEntry>('code.requested', codeRequested)

  users.follow('user.registered', async ({ eventId, correlationId, data: { welcome } }, present) => {
    if (!welcome || present?.status !== 'PENDING_VERIFICATION') return
    const { email: address, name, locale } = present
    try {
      await service.requestCode({ email: address, registration: { name, locale }, network: 'registration', requestId: eventId }, correlationId)
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 429) throw error
      count('MailsSuppressed')
    }
  })

  users.follow('user.suspended', async ({ subject, occurredAt }, present) => {
    // Of an account that is active again, no session ends; nor one that was started after the suspension.
    if (present?.status === 'SUSPENDED') await repository.deleteSessions(subject, occurredAt)
  })

  users.follow('user.deleted', async ({ subject, data }) => {
    await repository.deleteSessions(subject)
    await repository.forgetCodes(keys.pseudonyms(mailboxOf(data.email)), subject)
  })
}
