import { DeleteCommand, GetCommand, PutCommand, UpdateCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { Value } from '@sinclair/typebox/value'
import { unlessRefused } from '../../shared/conditional-write.ts'
import { ERASED_FOR } from '../../shared/erasure.ts'
import { challengeKey, isLive, placeKey, type Item } from './items.ts'
import { Challenge } from './schemas.ts'

/** A challenge with its id. `expiresAt` in seconds since the epoch. */
export type OpenChallenge = Challenge & { challengeId: string, expiresAt: number }

/** An account that no longer has an address. */
export interface Former {
  userId: string
  /** pseudonyms of the address */
  address: readonly string[]
  /** Finds the account that has the address now, if there is one. */
  nextOwner: () => Promise<string | undefined>
}

export interface ChallengeRepository {
  /** Opens a challenge. Returns false when it was used, spent, or opened for another account. While it lasts, tries already made stay counted. */
  open (challenge: OpenChallenge): Promise<boolean>
  /** Uses up one of a challenge's tries, once for each `tryId`, and returns the challenge; `undefined` when it has no tries left, has expired or was used. */
  takeTry (challengeId: string, tryId: string): Promise<Challenge | undefined>
  /** Gives a try back, because its code was right. */
  giveBack (challengeId: string, tryId: string): Promise<void>
  /** The state of a challenge that is open and belongs to the user. Strongly consistent. */
  stateOf (challengeId: string, userId: string): Promise<{ expiresAt: number, tries: number } | undefined>
  /** Whether a code was used, or erased with an account of its address; a late entry must do nothing for it any more. Strongly consistent. */
  isSpent (challengeId: string): Promise<boolean>
  /** Marks a code as spent, if its challenge belongs to the user, is not open, or is of the address and not of its next owner. */
  spend (challengeId: string, former: Former): Promise<void>
  /** Deletes a challenge, if it belongs to the user. */
  removeChallenge (challengeId: string, userId: string): Promise<void>
}

/** Tries per challenge. There are 10^8 codes, so five tries find the right one once in 20 million challenges. */
const MAX_TRIES = 5

/** Challenges: what a code is checked against. */
export function createChallengeRepository ({ dynamodb, table, now }: { dynamodb: DynamoDBDocumentClient, table: string, now: () => Date }): ChallengeRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  async function get (challengeId: string): Promise<Item | undefined> {
    const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key: challengeKey(challengeId), ConsistentRead: true }))
    return isLive(Item, seconds()) ? Item : undefined
  }

  return {
    async open ({ challengeId, ...challenge }) {
      const { userId, expiresAt, emailChange, undoes } = challenge
      // Before the challenge, so that an erasure of the account finds both. Costs half of a transaction.
      const isSignIn = emailChange === undefined && undoes === undefined
      if (!isSignIn) await dynamodb.send(new PutCommand({ TableName: table, Item: { ...placeKey(userId, challengeId), expiresAt } }))
      return await unlessRefused(async () => {
        await dynamodb.send(new PutCommand({
          TableName: table,
          Item: { ...challengeKey(challengeId), ...challenge },
          // When the entry is handled twice, a challenge that is open or was used stays unchanged.
          ConditionExpression: 'attribute_not_exists(pk) OR (expiresAt <= :now AND attribute_not_exists(usedBy))',
          ExpressionAttributeValues: { ':now': seconds() },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD'
        }))
        return true
      }, ({ Item }) => Item?.['usedBy'] === undefined && Item?.['userId']?.S === userId)
    },

    async takeTry (challengeId, tryId) {
      const taken = await unlessRefused(() => dynamodb.send(new UpdateCommand({
        TableName: table,
        Key: challengeKey(challengeId),
        // A set of try ids and not a counter: when an answer was lost, the SDK's retry counts as the same try.
        UpdateExpression: 'ADD tries :try',
        ConditionExpression: '(attribute_not_exists(tries) OR size(tries) < :max OR contains(tries, :id)) AND expiresAt > :now AND attribute_not_exists(usedBy)',
        ExpressionAttributeValues: { ':try': new Set([tryId]), ':id': tryId, ':max': MAX_TRIES, ':now': seconds() },
        ReturnValues: 'ALL_NEW'
      })))
      if (taken === undefined) return undefined
      const { pk, sk, tries, expiresAt, ...challenge } = taken.Attributes ?? {}
      if (!Value.Check(Challenge, challenge)) throw new Error('A challenge in the auth table is not valid')
      return challenge
    },

    async giveBack (challengeId, tryId) {
      await unlessRefused(() => dynamodb.send(new UpdateCommand({
        TableName: table,
        Key: challengeKey(challengeId),
        UpdateExpression: 'DELETE tries :try',
        ConditionExpression: 'attribute_exists(pk)',
        ExpressionAttributeValues: { ':try': new Set([tryId]) }
      })))
    },

    async stateOf (challengeId, userId) {
      const challenge = await get(challengeId)
      if (challenge?.['userId'] !== userId) return undefined
      return { expiresAt: Number(challenge['expiresAt']), tries: challenge['tries'] instanceof Set ? challenge['tries'].size : 0 }
    },

    isSpent: async challengeId => (await get(challengeId))?.['usedBy'] !== undefined,

    async spend (challengeId, { userId, address, nextOwner }) {
      const mark = (ConditionExpression: string, values: Item) => unlessRefused(() => dynamodb.send(new UpdateCommand({
        TableName: table,
        Key: challengeKey(challengeId),
        // Replaced and not deleted: the entry that asked for it may still come, and must not bring the address back.
        UpdateExpression: 'SET usedBy = :erasure, expiresAt = :expiresAt REMOVE userId, address, emailChange, undoes, tries',
        ConditionExpression,
        ExpressionAttributeValues: { ':erasure': 'erasure', ':expiresAt': seconds() + ERASED_FOR, ...values }
      })))
      if (await mark('attribute_not_exists(pk) OR attribute_exists(usedBy) OR userId = :userId', { ':userId': userId }) !== undefined) return
      // It was opened for another account, or for none. An account is opened before its challenge, so it is found now.
      const next = await nextOwner() ?? userId
      const pseudonyms = Object.fromEntries(address.map((pseudonym, i) => [`:address${i}`, pseudonym]))
      await mark(`NOT userId = :next AND address IN (${Object.keys(pseudonyms).join(', ')})`, { ':next': next, ...pseudonyms })
    },

    async removeChallenge (challengeId, userId) {
      await unlessRefused(() => dynamodb.send(new DeleteCommand({ TableName: table, Key: challengeKey(challengeId), ConditionExpression: 'userId = :userId', ExpressionAttributeValues: { ':userId': userId } })))
    }
  }
}
