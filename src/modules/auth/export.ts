import { Type } from '@sinclair/typebox'
import type { Keys } from '../../plugins/keys/index.ts'
import type { UsersService } from '../users/contract.ts'
import { CODE_LIMITS, mailboxOf } from './allowance.ts'
import type { AuthRepository } from './repository.ts'
import { ExportedCode, ExportedSession } from './schemas.ts'

/** Sessions live for 90 days at most, and each starts with one of the codes that its address may request. */
const MAX_SESSIONS = 90 * Math.max(...CODE_LIMITS.address.map(({ max }) => max))

/** As many codes as a list may hold before its old end is removed. */
const MAX_CODES = 100

const instant = (seconds: number) => new Date(seconds * 1000).toISOString()

/** Adds to a user's export what the auth table holds: sessions, and the codes of the last day. */
export function contributeParts ({ users, repository, keys }: {
  users: Pick<UsersService, 'contribute'>
  repository: Pick<AuthRepository, 'listSessions' | 'codesOf'>
  keys: Pick<Keys, 'pseudonyms'>
}): void {
  users.contribute('sessions', {
    schema: Type.Array(ExportedSession, { maxItems: MAX_SESSIONS, description: 'Sessions that have not ended' }),
    async collect ({ id }) {
      const sessions = await repository.listSessions(id)
      return sessions.map(({ sid, expiresAt, ...session }) => ({ id: sid, ...session, expiresAt: instant(expiresAt) }))
    }
  })

  users.contribute('codes', {
    schema: Type.Array(ExportedCode, { maxItems: MAX_CODES, description: 'Codes requested for the address in about the last day, newest first. The codes themselves are stored nowhere' }),
    async collect ({ id, email }) {
      const codes = await repository.codesOf(keys.pseudonyms(mailboxOf(email)), id)
      return codes.slice(0, MAX_CODES).map(({ requestedAt, challenge }) => ({
        requestedAt,
        ...(challenge === undefined ? {} : { open: { expiresAt: instant(challenge.expiresAt), tries: challenge.tries } })
      }))
    }
  })
}
