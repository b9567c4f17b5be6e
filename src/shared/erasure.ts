import { createHash } from 'node:crypto'

/**
 * Seconds for which an erasure is remembered: longer than any queue or stream keeps a message that could write the account
 * again, and longer than the 35 days of backups from which a table can be restored (docs/privacy.md).
 */
export const ERASED_FOR = 45 * 24 * 3600

/** Names an account without naming it, for what is kept after it has been erased. An id is random, so nothing leads back to it. */
export const nameless = (id: string): string => createHash('sha256').update(id).digest('base64url')
