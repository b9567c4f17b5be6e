import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import type { Outbox } from '../../plugins/outbox/index.ts'
import { createChallengeRepository, type ChallengeRepository, type OpenChallenge } from './challenge-repository.ts'
import { createCodeRepository, type CodeCount, type CodeRepository } from './code-repository.ts'
import type { AuthEntry } from './contract.ts'
import { createSessionRepository, type SessionRepository } from './session-repository.ts'

export interface AuthRepository extends
  Pick<CodeRepository, 'requestCode' | 'codesOf' | 'forgetCodes'>,
  Pick<ChallengeRepository, 'takeTry' | 'giveBack' | 'isSpent' | 'removeChallenge'>,
  SessionRepository {
  /**
   * Opens a challenge. Returns false when it was used, spent, or opened for another account. While it lasts, tries already
   * made stay counted. Removes counts that are too old, if it was counted. `isUncounted`: it does not have the id under which
   * its code was counted.
   */
  openChallenge (challenge: OpenChallenge, count?: Pick<CodeCount, 'address' | 'limits'> & { isUncounted?: boolean }): Promise<boolean>
}

export interface RepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<AuthEntry>
  table: string
  now: () => Date
}

/** The auth table: codes, challenges and sessions. */
export function createRepository ({ dynamodb, outbox, table, now }: RepositoryOptions): AuthRepository {
  const challenges = createChallengeRepository({ dynamodb, table, now })
  const { noteUncounted, trim, ...codes } = createCodeRepository({ dynamodb, outbox, challenges, table, now })
  const { takeTry, giveBack, isSpent, removeChallenge } = challenges

  return {
    ...codes,
    takeTry,
    giveBack,
    isSpent,
    removeChallenge,
    ...createSessionRepository({ dynamodb, table, now }),

    async openChallenge (challenge, count) {
      // Before the challenge, so that an erasure of the account finds both.
      if (count?.isUncounted === true) await noteUncounted(count.address, challenge.challengeId, challenge.expiresAt)
      const isOpen = await challenges.open(challenge)
      if (count !== undefined) await trim(count)
      return isOpen
    }
  }
}
