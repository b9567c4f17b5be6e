import { GetCommand, TransactWriteCommand, type DynamoDBDocumentClient, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import { Value } from '@sinclair/typebox/value'
import type { Outbox } from '../../plugins/outbox/index.ts'
import type { ConditionRefused } from '../../shared/aws-errors.ts'
import { refusedPositions, unlessRefused } from '../../shared/conditional-write.ts'
import { ERASED_FOR } from '../../shared/erasure.ts'
import { idFrom, newId } from '../../shared/ids.ts'
import { outboxEntry } from '../../shared/outbox.ts'
import type { UsersEntry } from './contract.ts'
import { LastAdmin } from './errors.ts'
import { adminsKey, auditItem, claimItem, claimKey, claimsOf, erasedKey, isActiveAdmin, isLive, proposalsKey, userIn, userItem } from './items.ts'
import { Proposal, type AuditLine, type StoredUser } from './schemas.ts'

type Writes = NonNullable<TransactWriteCommandInput['TransactItems']>

/**
 * `written`: this call wrote it. `repeated`: an earlier call wrote it, whose answer was lost or which this call repeats.
 * `refused`: a condition did not hold.
 */
export type WriteOutcome = 'written' | 'repeated' | 'refused'

/** Who makes a change: an admin, who must still be an admin when it is written, or without `adminId` the user. */
export interface By {
  adminId: string | undefined
  /** whether the change may leave no admin */
  mayLeaveNoAdmin?: boolean
}

/** What is known when an account is saved. */
export interface Circumstances {
  /** a pending account that is erased because it has claimed the new address without a proof */
  displaced?: { user: StoredUser, entry: UsersEntry } | undefined
  /** whether there may be proposals, which a confirmed account must not keep */
  hasProposals?: boolean
}

export interface UsersRepository {
  /** A user that exists and has not expired. Strongly consistent. */
  get (id: string): Promise<StoredUser | undefined>
  /** The id of the user who owns an address. Strongly consistent. */
  ownerOf (email: string): Promise<string | undefined>
  /**
   * Writes a new user, its claim on the address and the outbox entry. Refused when the address is claimed or the id has been
   * used. `hasNewId`: the id was made by this call, so that no account with it can have been erased.
   */
  create (user: StoredUser, entry: UsersEntry, options: { hasNewId: boolean }): Promise<WriteOutcome>
  /**
   * Replaces a user with its next version, and moves its claims when its address changes. Refused when the user has changed
   * since it was read, `by` is no longer an admin, or another account has claimed the new address. Throws LastAdmin.
   */
  save (previous: StoredUser, next: StoredUser, entry: UsersEntry, by: By, circumstances?: Circumstances): Promise<WriteOutcome>
  /** Erases a user, its claims and its proposals. Refused for the same reasons as `save`. Throws LastAdmin. */
  remove (user: StoredUser, entry: UsersEntry, by: By): Promise<WriteOutcome>
  /** Keeps the name and language that a registration proposes for a pending user, for as long as its challenge lasts. Refused when the user is no longer pending. `expiresAt` in seconds since the epoch. */
  propose (userId: string, challengeId: string, proposal: Proposal, expiresAt: number): Promise<WriteOutcome>
  /** The name and language that the registration of a challenge proposed, and whether there are proposals at all. Strongly consistent. */
  proposalOf (userId: string, challengeId: string): Promise<{ proposal: Proposal | undefined, hasAny: boolean }>
}

export interface RepositoryOptions {
  dynamodb: DynamoDBDocumentClient
  outbox: Outbox<UsersEntry>
  table: string
  /** start of the avatars' URLs */
  publicUrl: string
  now: () => Date
}

/** A condition of a transaction: the admin who asks for the change is still an admin. */
export const stillAdmin = (table: string, adminId: string) => ({
  ConditionCheck: {
    TableName: table,
    Key: { userId: adminId },
    ConditionExpression: '#role = :admin AND #status = :active',
    ExpressionAttributeNames: { '#role': 'role', '#status': 'status' },
    ExpressionAttributeValues: { ':admin': 'admin', ':active': 'ACTIVE' }
  }
})

/** The entry for an item that DynamoDB has removed: an account that was never confirmed ends like a deleted one, for other modules and services. */
export function expiryOf (item: Record<string, unknown>): UsersEntry | undefined {
  // The event shows no avatar, so it needs no start for its URL.
  const user = userIn(item, '')
  if (user?.expiresAt === undefined) return undefined
  const eventId = idFrom(user.id, 'expired')
  return outboxEntry('user.deleted', {
    eventId,
    subject: user.id,
    correlationId: eventId,
    now: new Date(user.expiresAt * 1000),
    data: { userId: user.id, userVersion: user.version + 1, email: user.email }
  })
}

/** Reads and writes single accounts. Each write is one transaction. */
export function createRepository ({ dynamodb, outbox, table, publicUrl, now }: RepositoryOptions): UsersRepository {
  const seconds = () => Math.floor(now().getTime() / 1000)

  async function getItem (Key: Record<string, string>) {
    const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    return Item !== undefined && isLive(Item, seconds()) ? Item : undefined
  }

  async function get (id: string): Promise<StoredUser | undefined> {
    return userIn(await getItem({ userId: id }), publicUrl)
  }

  async function ownerOf (email: string): Promise<string | undefined> {
    const claim = await getItem(claimKey(email))
    return typeof claim?.['ownerId'] === 'string' ? claim['ownerId'] : undefined
  }

  /**
   * Writes one transaction, all or nothing. When a condition is refused, `isOurs` checks the item: after a lost answer the
   * SDK's retry finds what its first attempt wrote.
   *
   * @throws LastAdmin when nothing but the set of admins refused it
   */
  async function transact (TransactItems: Writes, isOurs: () => Promise<boolean>): Promise<WriteOutcome> {
    const refusal = await unlessRefused<undefined, ConditionRefused>(async () => { await dynamodb.send(new TransactWriteCommand({ TransactItems })) }, refusal => refusal)
    if (refusal === undefined) return 'written'
    if (await isOurs()) return 'repeated'
    const refused = refusedPositions(refusal)
    if (refused.length > 0 && refused.every(position => TransactItems[position]?.Update?.Key === adminsKey)) throw new LastAdmin()
    return 'refused'
  }

  const asRead = (user: StoredUser) => ({ ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': user.version } })
  const ifOwnedBy = (user: StoredUser) => ({ ConditionExpression: 'ownerId = :id', ExpressionAttributeValues: { ':id': user.id } })

  const ifStillAdmin = ({ adminId }: By): Writes => adminId === undefined ? [] : [stillAdmin(table, adminId)]

  /**
   * The set of admins, when an account becomes one or stops being one. One must remain: the admin who makes the change,
   * who is checked in the same transaction, or else another one in the set.
   */
  function adminsAfter (previous: StoredUser, next: StoredUser | undefined, { adminId, mayLeaveNoAdmin = false }: By): Writes {
    const isNow = isActiveAdmin(next)
    if (isActiveAdmin(previous) === isNow) return []
    if (isNow) {
      const ids = new Set([previous.id, ...(adminId === undefined ? [] : [adminId])])
      return [{ Update: { TableName: table, Key: adminsKey, UpdateExpression: 'ADD ids :ids SET kind = :kind', ExpressionAttributeValues: { ':ids': ids, ':kind': 'admins' } } }]
    }
    const mustRemain = adminId === undefined && !mayLeaveNoAdmin
    return [{
      Update: {
        TableName: table,
        Key: adminsKey,
        UpdateExpression: 'DELETE ids :ids',
        ExpressionAttributeValues: { ':ids': new Set([previous.id]), ...(mustRemain ? { ':id': previous.id, ':one': 1, ':none': 0 } : {}) },
        // An admin from before the set is not in it.
        ...(mustRemain ? { ConditionExpression: '(contains(ids, :id) AND size(ids) > :one) OR (attribute_exists(ids) AND NOT contains(ids, :id) AND size(ids) > :none)' } : {})
      }
    }]
  }

  /** The audit line of a change of another account. */
  function audited ({ subject, occurredAt: at, correlationId, data }: UsersEntry, { adminId }: By, action: AuditLine['action'], next?: StoredUser): Writes {
    if (adminId === undefined) return []
    const changed = 'changed' in data ? data.changed : undefined
    const line: AuditLine = {
      id: newId(),
      at,
      actorId: adminId,
      action,
      correlationId,
      ...(changed === undefined ? {} : { changed }),
      ...(changed?.includes('status') ? { status: next!.status } : {}),
      ...(changed?.includes('role') ? { role: next!.role } : {})
    }
    return [{ Put: { TableName: table, Item: auditItem(line, subject) } }]
  }

  const release = (user: StoredUser, email: string) => ({ Delete: { TableName: table, Key: claimKey(email), ...ifOwnedBy(user) } })

  /** What a change of address does to the claims. */
  function movedClaims (previous: StoredUser, next: StoredUser, displaced: StoredUser | undefined): Writes {
    if (previous.email === next.email) return []
    const [before, after] = [claimsOf(previous, seconds()), claimsOf(next, seconds())]
    return [
      {
        Put: {
          TableName: table,
          Item: claimItem(next.email, next.id, undefined),
          ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now OR ownerId = :id OR ownerId = :displaced',
          ExpressionAttributeValues: { ':now': seconds(), ':id': next.id, ':displaced': displaced?.id ?? next.id }
        }
      },
      ...(after.has(previous.email)
        ? [{ Put: { TableName: table, Item: claimItem(previous.email, next.id, after.get(previous.email)), ...ifOwnedBy(previous) } }]
        : []),
      ...[...before.keys()].filter(email => !after.has(email)).map(email => release(previous, email))
    ]
  }

  /** Erases everything of an account except its claims. */
  const erasure = (user: StoredUser, entry: UsersEntry): Writes => [
    { Delete: { TableName: table, Key: { userId: user.id }, ...asRead(user) } },
    { Put: { TableName: table, Item: { ...erasedKey(user.id), kind: 'erased', expiresAt: seconds() + ERASED_FOR } } },
    { Delete: { TableName: table, Key: proposalsKey(user.id) } },
    { Put: outbox.write(entry) }
  ]

  return {
    get,
    ownerOf,

    create: (user, entry, { hasNewId }) => transact([
      { Put: { TableName: table, Item: userItem(user), ConditionExpression: 'attribute_not_exists(userId)' } },
      // A late message must not bring an erased account back.
      ...(hasNewId ? [] : [{ ConditionCheck: { TableName: table, Key: erasedKey(user.id), ConditionExpression: 'attribute_not_exists(userId)' } }]),
      {
        Put: {
          TableName: table,
          Item: claimItem(user.email, user.id, user.expiresAt),
          ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now',
          ExpressionAttributeValues: { ':now': seconds() }
        }
      },
      { Put: outbox.write(entry) }
    ], async () => await ownerOf(user.email) === user.id),

    save: (previous, next, entry, by, { displaced, hasProposals = true } = {}) => transact([
      { Put: { TableName: table, Item: { ...userItem(next), lastEventId: entry.eventId }, ...asRead(previous) } },
      { Put: outbox.write(entry) },
      ...ifStillAdmin(by),
      ...audited(entry, by, 'update', next),
      ...adminsAfter(previous, next, by),
      ...movedClaims(previous, next, displaced?.user),
      ...(displaced === undefined ? [] : erasure(displaced.user, displaced.entry)),
      // An account that is no longer pending keeps its address for good, and its proposals are deleted.
      ...(previous.expiresAt !== undefined && next.expiresAt === undefined
        ? [
            { Update: { TableName: table, Key: claimKey(next.email), UpdateExpression: 'REMOVE expiresAt', ...ifOwnedBy(next) } },
            ...(hasProposals ? [{ Delete: { TableName: table, Key: proposalsKey(next.id) } }] : [])
          ]
        : [])
    ], async () => (await getItem({ userId: next.id }))?.['lastEventId'] === entry.eventId),

    remove: (user, entry, by) => transact([
      ...erasure(user, entry),
      ...[...claimsOf(user, seconds()).keys()].map(email => release(user, email)),
      ...ifStillAdmin(by),
      ...audited(entry, by, 'delete'),
      ...adminsAfter(user, undefined, by)
    ], async () => await getItem(erasedKey(user.id)) !== undefined),

    propose: (userId, challengeId, proposal, expiresAt) => transact([
      {
        ConditionCheck: {
          TableName: table,
          Key: { userId },
          ConditionExpression: '#status = :pending',
          ExpressionAttributeNames: { '#status': 'status' },
          ExpressionAttributeValues: { ':pending': 'PENDING_VERIFICATION' }
        }
      },
      {
        Update: {
          TableName: table,
          Key: proposalsKey(userId),
          UpdateExpression: 'SET #challenge = :proposal, expiresAt = :expiresAt, kind = :kind',
          ExpressionAttributeNames: { '#challenge': challengeId },
          ExpressionAttributeValues: { ':proposal': proposal, ':expiresAt': expiresAt, ':kind': 'proposals' }
        }
      }
    ], async () => false),

    async proposalOf (userId, challengeId) {
      const { Item } = await dynamodb.send(new GetCommand({ TableName: table, Key: proposalsKey(userId), ConsistentRead: true }))
      const proposal = Item !== undefined && isLive(Item, seconds()) ? Item[challengeId] : undefined
      return { proposal: Value.Check(Proposal, proposal) ? proposal : undefined, hasAny: Item !== undefined }
    }
  }
}
