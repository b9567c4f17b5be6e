import { TransactWriteCommand, type DynamoDBDocumentClient, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import type { Outbox } from '../../plugins/outbox/index.ts'
import type { ConditionRefused } from '../../shared/aws-errors.ts'
import { itemMetBy, refusedPositions, unlessRefused } from '../../shared/conditional-write.ts'
import { Forbidden, Unavailable } from '../../shared/errors.ts'
import type { UsersEntry } from './contract.ts'
import { auditItem, auditKey, claimItem, userItem } from './items.ts'
import { stillAdmin, type WriteOutcome } from './repository.ts'
import type { AuditLine, StoredUser } from './schemas.ts'

/** A new account that an admin registers. Its ids are derived from the operation, so that a repetition finds it. */
export interface Enrolment { user: StoredUser, entry: UsersEntry, line: AuditLine }

/** `repeated`: an earlier attempt of the same operation wrote it. `taken`: another account has the address. */
export type EnrolmentOutcome = 'written' | 'repeated' | 'taken'

export interface EnrolmentRepository {
  /**
   * Writes new accounts, each with its claim, outbox entry and audit line, and each or not on its own. The outcomes are in
   * the order of the accounts. Throws FORBIDDEN when `adminId` is no active admin.
   */
  enrol (enrolments: Enrolment[], adminId: string): Promise<EnrolmentOutcome[]>
  /** Writes the entry and the audit line of one more invitation. Refused when the user has changed since it was read, or `adminId` is no active admin. */
  inviteAgain (enrolment: Enrolment, adminId: string): Promise<WriteOutcome>
}

export interface EnrolmentRepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<UsersEntry>
  table: string
  now: () => Date
}

/** Writes of an account: user, claim, audit line, entry. */
const WRITES = 4
const CLAIM = 1

/** Accounts in a transaction, which may have 100 writes. One is the check of the admin. */
const ACCOUNTS = Math.floor((100 - 1) / WRITES)

/** Writes accounts that an admin registers. */
export function createEnrolmentRepository ({ dynamodb, outbox, table, now }: EnrolmentRepositoryOptions): EnrolmentRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  /** @returns what was refused, if anything was; then nothing is written */
  const transact = (TransactItems: NonNullable<TransactWriteCommandInput['TransactItems']>) =>
    unlessRefused<undefined, ConditionRefused>(async () => { await dynamodb.send(new TransactWriteCommand({ TransactItems })) }, refusal => refusal)

  // Written once for each operation and kept after the account is erased: a late repetition finds it and does not bring
  // the account back.
  const putLine = (line: AuditLine, userId: string) => ({ Put: { TableName: table, Item: auditItem(line, userId), ConditionExpression: 'attribute_not_exists(userId)', ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const } })

  const writesOf = ({ user, entry, line }: Enrolment) => [
    { Put: { TableName: table, Item: userItem(user), ConditionExpression: 'attribute_not_exists(userId)' } },
    {
      Put: {
        TableName: table,
        Item: claimItem(user.email, user.id, user.expiresAt),
        ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now',
        ExpressionAttributeValues: { ':now': seconds() },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const
      }
    },
    putLine(line, user.id),
    { Put: outbox.write(entry) }
  ]

  /** Writes as many of the accounts as can be. Takes those out that a condition refuses, and tries the rest again. */
  async function write (enrolments: Enrolment[], adminId: string, outcomes: Map<Enrolment, EnrolmentOutcome>): Promise<void> {
    const refusal = await transact([stillAdmin(table, adminId), ...enrolments.flatMap(writesOf)])
    if (refusal === undefined) {
      for (const enrolment of enrolments) outcomes.set(enrolment, 'written')
      return
    }
    const refused = refusedPositions(refusal)
    if (refused.includes(0)) throw new Forbidden()
    const rest = enrolments.filter((enrolment, i) => {
      const first = 1 + i * WRITES
      const own = refused.filter(position => position >= first && position < first + WRITES).map(position => position - first)
      if (own.length === 0) return true
      const owner = itemMetBy(refusal, first + CLAIM)?.['ownerId'] as { S?: string } | undefined
      const isTaken = own.every(position => position === CLAIM) && owner?.S !== enrolment.user.id
      outcomes.set(enrolment, isTaken ? 'taken' : 'repeated')
      return false
    })
    if (rest.length === enrolments.length) throw new Unavailable()
    if (rest.length > 0) await write(rest, adminId, outcomes)
  }

  return {
    async enrol (enrolments, adminId) {
      const outcomes = new Map<Enrolment, EnrolmentOutcome>()
      // One after the other: transactions that check the same admin at the same time conflict.
      for (let i = 0; i < enrolments.length; i += ACCOUNTS) await write(enrolments.slice(i, i + ACCOUNTS), adminId, outcomes)
      return enrolments.map(enrolment => outcomes.get(enrolment)!)
    },

    async inviteAgain ({ user, entry, line }, adminId) {
      const refusal = await transact([
        { ConditionCheck: { TableName: table, Key: { userId: user.id }, ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': user.version } } },
        stillAdmin(table, adminId),
        putLine(line, user.id),
        { Put: outbox.write(entry) }
      ])
      if (refusal === undefined) return 'written'
      const { userId } = auditKey(line.id)
      return refusedPositions(refusal).some(position => (itemMetBy(refusal, position)?.['userId'] as { S?: string } | undefined)?.S === userId) ? 'repeated' : 'refused'
    }
  }
}
