import type { EmailRepository } from './repository.ts'
import type { EmailMessage, EmailType } from './schemas.ts'

/**
 * Milliseconds for which a receipt counts. A mailbox that was deleted or misconfigured may exist again, and only a mail can
 * show it. One mail a week to a dead mailbox costs the sender's reputation nothing.
 */
export const RECEIPT_LIFE = 7 * 24 * 3600 * 1000

/**
 * The mails that a receipt stops, see docs/adr/0121-mail-receipts.md. A complaint stops no mail to a proved address: its
 * owner may complain about a mail that a stranger asked for, and must be able to sign in. A notice about a change of
 * address is sent always: it is the only way to hear of a change that a thief made.
 */
const STOPPED: Record<'bounced' | 'complained', readonly EmailType[]> = {
  bounced: ['WELCOME_EMAIL', 'SIGN_IN_CODE', 'ACCOUNT_EXISTS', 'EMAIL_CHANGE_CODE'],
  complained: ['WELCOME_EMAIL', 'EMAIL_CHANGE_CODE']
}

export interface AddressesOptions {
  repository: Pick<EmailRepository, 'addressOf' | 'noteAddress' | 'forgetAddress'>
  /** pseudonyms of an address under each valid key, current first */
  recipients: (email: string) => string[]
  now?: () => number
}

export type Addresses = ReturnType<typeof createAddresses>

/** What receipts say about addresses, by pseudonym. */
export function createAddresses ({ repository, recipients, now = Date.now }: AddressesOptions) {
  const expiryOf = (at: number) => Math.ceil((at + RECEIPT_LIFE) / 1000)

  return {
    /** Records a receipt. `late` when it no longer counts; `known` when this or a newer one has been recorded before. */
    async note (email: string, status: 'bounced' | 'complained', given: number): Promise<'noted' | 'known' | 'late'> {
      // The provider's clock may be ahead. A time in the future would outlast a later proof.
      const at = Math.min(given, now())
      if (at + RECEIPT_LIFE <= now()) return 'late'
      return await repository.noteAddress(recipients(email)[0]!, { status, at, expiresAt: expiryOf(at) }) ? 'noted' : 'known'
    },

    /** Why a message is not sent now; `undefined` when it is. */
    async statusAgainst ({ type, email }: Pick<EmailMessage, 'type' | 'email'>): Promise<'bounced' | 'complained' | undefined> {
      if (!STOPPED.bounced.includes(type)) return undefined
      const { status } = await repository.addressOf(recipients(email)) ?? {}
      return status === undefined || status === 'readmitted' || !STOPPED[status].includes(type) ? undefined : status
    },

    async readmit (email: string, given: Date): Promise<void> {
      const at = Math.min(given.getTime(), now())
      // Replaced and not removed, so that a receipt from before that comes late or twice does not count either.
      for (const pseudonym of recipients(email)) await repository.noteAddress(pseudonym, { status: 'readmitted', at, expiresAt: expiryOf(at) }, { isKnown: true })
    },

    async forget (email: string): Promise<void> {
      for (const pseudonym of recipients(email)) await repository.forgetAddress(pseudonym)
    }
  }
}
