import type { Keys } from '../../plugins/keys/index.ts'
import type { Count } from '../../plugins/metrics.ts'
import type { Outboxes } from '../../plugins/outbox/index.ts'
import type { EmailService } from '../email/contract.ts'
import { idFrom } from '../../shared/ids.ts'
import type { User, UsersEntry, UsersService } from '../users/contract.ts'
import { CODE_LIMITS, mailboxOf } from './allowance.ts'
import type { CodeCount } from './code-repository.ts'
import { newChallenge } from './codes.ts'
import type { AuthEntry, AuthService, ChallengeTicket } from './contract.ts'
import type { AuthRepository } from './repository.ts'
import type { Challenge } from './schemas.ts'

/** A code with less time left, in milliseconds, is not mailed for the first time: it would expire on its way, and no mail would follow. */
const MIN_LIFE = 120_000

/** The mail worker mails no code with less time left than this, in milliseconds. */
const TOO_LATE = 30_000

/**
 * After this time, in milliseconds, an entry is checked against what has happened since its request: its address may have
 * been erased. A stream takes less than a second, so the check costs nothing normally.
 */
const WAITED = 10_000

export interface EventsOptions {
  outbox: Pick<Outboxes, 'on'>
  repository: Pick<AuthRepository, 'openChallenge' | 'getSession' | 'listSessions' | 'deleteSessions' | 'isSpent' | 'forgetCodes' | 'forgetUser' | 'isErased' | 'removeChallenge'>
  service: Pick<AuthService, 'countCode'>
  users: Pick<UsersService, 'openAccount' | 'findByEmail' | 'getFresh' | 'ofSession' | 'noteMail' | 'follow'>
  email: Pick<EmailService, 'enqueue' | 'follow' | 'readmit' | 'forget'>
  keys: Pick<Keys, 'pseudonym' | 'pseudonyms'>
  count: Count
  now: () => Date
}

/** Registers the handlers for requested codes and for changes of accounts. Every step may be repeated. */
export function registerEvents ({ outbox, repository, service, users, email, keys, count, now }: EventsOptions): void {
  const isOver = (expiresAt: string, left = 0) => Date.parse(expiresAt) <= now().getTime() + left

  /** The type of mail that answers a request for a code, or `undefined` for none. */
  function mailFor (account: User | undefined, isRegistration: boolean) {
    if (account === undefined || account.status === 'SUSPENDED') return undefined
    if (account.status === 'PENDING_VERIFICATION') return 'WELCOME_EMAIL'
    return isRegistration ? 'ACCOUNT_EXISTS' : 'SIGN_IN_CODE'
  }

  async function codeRequested (entry: Extract<AuthEntry, { type: 'code.requested' }>): Promise<void> {
    const { eventId, occurredAt, correlationId, data: { email: address, userId, registration, invitedBy, ...asked } } = entry
    // A registration from before an erasure of the address would bring the address back.
    if (registration !== undefined && now().getTime() - Date.parse(occurredAt) > WAITED && await repository.isSpent(asked.challengeId)) return
    // The entry is late. An account that still waits for its first code gets a fresh one. Its id is the entry's id, so that
    // a repetition makes the same challenge. Who asked to sign in has long asked again, and gets no second mail.
    const isLate = isOver(asked.expiresAt, TOO_LATE)
    const ticket = isLate ? newChallenge(now(), eventId) : { challengeId: asked.challengeId, expiresAt: asked.expiresAt }

    const account = registration === undefined
      ? await users.findByEmail(address)
      : await users.openAccount({ ...registration, ...ticket, userId, email: address }, correlationId)
    const type = mailFor(account, registration !== undefined)
    if (isLate && type !== 'WELCOME_EMAIL') return count('CodesExpired')

    // Opened for every address, so that the work of the token endpoint does not show which addresses have an account.
    const challenge = await openCode(entry, { id: account?.id ?? userId, email: address }, ticket, { isUncounted: isLate, isWelcome: type === 'WELCOME_EMAIL' })
    if (account === undefined || type === undefined || challenge === undefined) return
    // The mail to a pending account quotes the registration that it confirms.
    const said = account.status === 'PENDING_VERIFICATION' && registration !== undefined ? registration : account
    await email.enqueue({ type, messageId: messageIdOf(eventId, ticket, challenge), userId: account.id, email: account.email, name: said.name, locale: said.locale, ...(type === 'WELCOME_EMAIL' ? await inviterOf(invitedBy) : {}), ...challenge }, correlationId)
  }

  const countOf = (address: string) => ({ address: keys.pseudonym(mailboxOf(address)), limits: CODE_LIMITS })
  const secondsOf = (expiresAt: string) => Math.floor(Date.parse(expiresAt) / 1000)

  /**
   * Opens a challenge for an account. Returns false when its code is not good: it was used, or erased. The erasure is looked
   * for after the write: the deletion of the account may have been handled before there was a challenge to erase.
   */
  async function open ({ challengeId, expiresAt }: ChallengeTicket, challenge: Challenge, count: Pick<CodeCount, 'address' | 'limits'> & { isUncounted?: boolean } | undefined): Promise<boolean> {
    const isOpen = await repository.openChallenge({ ...challenge, challengeId, expiresAt: secondsOf(expiresAt) }, count)
    if (!await repository.isErased(challenge.userId)) return isOpen
    await repository.removeChallenge(challengeId, challenge.userId)
    await repository.forgetUser(challenge.userId)
    return false
  }

  /**
   * Opens the challenge of a code that an entry asks for. Returns the one whose code is good; `undefined` when there is none.
   * `isUncounted`: the code was not counted under its id. `isWelcome`: the account waits for its first code.
   */
  async function openCode ({ eventId, occurredAt }: AuthEntry | UsersEntry, { id: userId, email: address }: Pick<User, 'id' | 'email'>, ticket: ChallengeTicket, { isUncounted, isWelcome }: { isUncounted: boolean, isWelcome: boolean }): Promise<ChallengeTicket | undefined> {
    const openOne = async (ticket: ChallengeTicket, isUncounted: boolean) => await open(ticket, { userId, address: keys.pseudonym(address) }, { ...countOf(address), isUncounted })
    if (await openOne(ticket, isUncounted)) return ticket
    // The code was used, or erased with the account that had the address until now. The next account gets a fresh one.
    const fresh = newChallenge(now(), eventId)
    if (isWelcome && !isUncounted && await openOne(fresh, true)) return fresh
    // What says that a code was counted is as new as its challenge.
    if (await repository.isErased(userId)) await forgetAddress(userId, address, occurredAt)
    return undefined
  }

  /** A mail with another code is another mail: one with the first code may have been sent to the account before. */
  const messageIdOf = (eventId: string, asked: ChallengeTicket, opened: ChallengeTicket) => asked === opened ? eventId : idFrom(eventId, 'fresh code')

  /** The name of the admin whose invitation it is, if it is one. */
  async function inviterOf (invitedBy: string | undefined): Promise<{ invitedBy?: string }> {
    const inviter = invitedBy === undefined ? undefined : await users.getFresh(invitedBy)
    return inviter?.status === 'ACTIVE' ? { invitedBy: inviter.name } : {}
  }

  /**
   * Mails the code for a new address. The address gets the same mail whether or not it has an account: the code gives no
   * account away, and confirming it answers that the address is in use.
   */
  async function emailChangeRequested (entry: Extract<AuthEntry, { type: 'email-change.requested' }>): Promise<void> {
    const { eventId, correlationId, data: { challengeId, expiresAt, email: address, userId, sid } } = entry
    if (isOver(expiresAt)) return count('CodesExpired')
    const account = await users.ofSession(userId, sid)
    if (account?.status !== 'ACTIVE' || account.email === address || await repository.getSession(userId, sid) === undefined) return
    const challenge = { userId, address: keys.pseudonym(address), emailChange: { email: address, sid } }
    if (!await open({ challengeId, expiresAt }, challenge, countOf(address))) return
    const { name, locale } = account
    await email.enqueue({ type: 'EMAIL_CHANGE_CODE', messageId: eventId, userId, email: address, name, locale, challengeId, expiresAt }, correlationId)
  }

  outbox.on<Extract<AuthEntry, { type: 'code.requested' }>>('code.requested', codeRequested)
  outbox.on<Extract<AuthEntry, { type: 'email-change.requested' }>>('email-change.requested', emailChangeRequested)

  /**
   * Mails a code to an account that waits for its first one, within the limits of its address. The entry that is handled
   * makes sure of it, so no other one is put.
   */
  async function welcome (entry: UsersEntry, present: User | undefined, invitedBy: string | undefined): Promise<void> {
    if (present?.status !== 'PENDING_VERIFICATION') return
    const { eventId, occurredAt, correlationId } = entry
    const { id: userId, email: address, name, locale } = present
    const asked = newChallenge(new Date(occurredAt), idFrom(eventId, 'challenge'))
    const isLate = isOver(asked.expiresAt, MIN_LIFE)
    const ticket = isLate ? newChallenge(now(), eventId) : asked
    try {
      // Counted once, however often the entry is delivered.
      if (!isLate) await service.countCode(address, asked.challengeId, new Date(occurredAt))
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 429) throw error
      return count('MailsSuppressed')
    }
    count('RegistrationsRequested')
    const challenge = await openCode(entry, present, ticket, { isUncounted: isLate, isWelcome: true })
    if (challenge === undefined) return
    await email.enqueue({ type: 'WELCOME_EMAIL', messageId: messageIdOf(eventId, ticket, challenge), userId, email: address, name, locale, ...await inviterOf(invitedBy), ...challenge }, correlationId)
  }

  users.follow('user.registered', async (entry, present) => {
    if (entry.data.welcome) await welcome(entry, present, entry.data.invitedBy)
  })

  users.follow('user.invited', async (entry, present) => { await welcome(entry, present, entry.data.invitedBy) })

  // The account says which sessions have ended, so a late entry ends none that were started since.
  users.follow('user.suspended', async ({ subject }, _present, { hasEnded }) => { await repository.deleteSessions(subject, hasEnded) })
  users.follow('user.signed-out', async ({ subject }, _present, { hasEnded }) => { await repository.deleteSessions(subject, hasEnded) })

  /** Erases what is kept of the codes of an address that was an account's until a time. */
  async function forgetAddress (userId: string, address: string, at: string): Promise<void> {
    await repository.forgetCodes({ userId, address: keys.pseudonyms(address), mailbox: keys.pseudonyms(mailboxOf(address)), at, nextOwner: async () => (await users.findByEmail(address))?.id })
  }

  users.follow('user.email-changed', async ({ eventId, subject, occurredAt, correlationId, data: { previousEmail, undo } }, present, { hasEnded, canUndo }) => {
    await repository.deleteSessions(subject, hasEnded)
    // The account has moved on: it is gone, or has the address again.
    if (present === undefined || present.email === previousEmail) return
    if (mailboxOf(present.email) !== mailboxOf(previousEmail)) await forgetAddress(subject, previousEmail, occurredAt)
    const ticket = undo !== undefined && canUndo(undo.challengeId) ? { challengeId: undo.challengeId, expiresAt: undo.until } : undefined
    const isOpen = ticket !== undefined && await open(ticket, { userId: subject, address: keys.pseudonym(previousEmail), undoes: 'email-change' }, undefined)
    const { name, locale } = present
    await email.enqueue({ type: 'EMAIL_CHANGED_NOTICE', messageId: eventId, userId: subject, email: previousEmail, name, locale, ...(isOpen ? ticket : {}) }, correlationId)
  })

  users.follow('user.deleted', async ({ subject, occurredAt, data: { email: address, formerEmails = [] } }) => {
    await repository.forgetUser(subject)
    for (const one of [address, ...formerEmails]) {
      await forgetAddress(subject, one, occurredAt)
      await email.forget(one)
    }
  })

  // ── What became of mails ───────────────────────────────────────────────────────────────────────────────────────────

  email.follow(async ({ userId, email: address, status, at }, correlationId) => {
    const account = await users.getFresh(userId)
    if (account?.email !== address) return
    // A session starts with a code from a mail: the owner has received a mail since, and wanted it.
    const proofs = (await repository.listSessions(userId)).map(({ createdAt }) => new Date(createdAt)).filter(start => start > at)
    if (proofs.length > 0) await email.readmit(address, new Date(Math.max(...proofs.map(Number))))
    else await users.noteMail(userId, { email: address, status, at }, correlationId)
  })

  /** Sends mails to an account again, once nothing is known against it. */
  async function readmit (present: User | undefined, occurredAt: string): Promise<void> {
    if (present !== undefined && present.mail === undefined) await email.readmit(present.email, new Date(occurredAt))
  }

  users.follow('user.verified', async ({ occurredAt, data }, present) => { if (data.readmits === true) await readmit(present, occurredAt) })
  users.follow('user.updated', async ({ occurredAt, data }, present) => { if (data.changed.includes('mail')) await readmit(present, occurredAt) })
  users.follow('user.email-changed', async ({ occurredAt }, present) => { await readmit(present, occurredAt) })
}
