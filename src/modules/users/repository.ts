import { GetCommand, TransactWriteCommand, type DynamoDBDocumentClient, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb'
import type { OpenOutbox, OutboxStore } from '../../plugins/outbox.ts'
import { unlessRefused } from '../../shared/conditional-write.ts'
import type { UsersEntry } from './contract.ts'
import type { StoredUser } from './schemas.ts'

type Writes = NonNullable<TransactWriteCommandInput['TransactItems']>

/** `done`: written, by this call or by one whose answer was lost. `refused`: a condition did not hold. */
export type WriteOutcome = 'done' | 'refused'

export interface UsersRepository {
  /** A user that is there and has not expired. Strongly consistent. */
  get (id: string): Promise<StoredUser | undefined>
  /** Id of the user who owns an address. Strongly consistent. */
  ownerOf (email: string): Promise<string | undefined>
  /** Writes a new user, its claim on the address and the entry that announces it; refused when the address is claimed. */
  create (user: StoredUser, entry: UsersEntry): Promise<WriteOutcome>
  /** As `create`, in the place of the entry that asked for it; refused also when that entry is no longer there. */
  fulfil (user: StoredUser, entry: UsersEntry): Promise<WriteOutcome>
  /** Replaces a user by its next version; refused when it is no longer as it was read. */
  save (previous: StoredUser, next: StoredUser, entry: UsersEntry): Promise<WriteOutcome>
  /** Deletes a user and its claim; refused when it is no longer as it was read. */
  remove (user: StoredUser, entry: UsersEntry): Promise<WriteOutcome>
  readonly outbox: OutboxStore<UsersEntry>
}

const claimKey = (email: string) => ({ userId: `email#${email}` })
const userItem = (user: StoredUser) => {
  const { id, ...rest } = user
  return { ...rest, userId: id, kind: 'user' }
}

/** The only place that knows the keys and items of the users table. */
export function createUsersRepository (client: DynamoDBDocumentClient, openOutbox: OpenOutbox, table: string, now: () => Date): UsersRepository {
  const outbox = openOutbox<UsersEntry>(table, eventId => ({ userId: `outbox#${eventId}` }))
  const seconds = () => Math.floor(now().getTime() / 1000)
  // DynamoDB removes expired items days late: until then they are there and do not count.
  const isLive = (item: { expiresAt?: number }) => item.expiresAt === undefined || item.expiresAt > seconds()

  async function getItem (Key: Record<string, string>) {
    const { Item } = await client.send(new GetCommand({ TableName: table, Key, ConsistentRead: true }))
    return Item
  }

  async function get (id: string): Promise<StoredUser | undefined> {
    const item = await getItem({ userId: id })
    if (item?.['kind'] !== 'user') return undefined
    const { userId, kind, lastEventId, ...rest } = item
    const user = { ...rest, id: userId } as StoredUser
    return isLive(user) ? user : undefined
  }

  /**
   * One transaction, all or nothing. A refused condition is looked at with `isOurs`: after a lost answer the SDK's own
   * retry meets what the first attempt wrote.
   */
  async function transact (TransactItems: Writes, isOurs: () => Promise<boolean>): Promise<WriteOutcome> {
    const written = await unlessRefused(() => client.send(new TransactWriteCommand({ TransactItems })))
    return written !== undefined || await isOurs() ? 'done' : 'refused'
  }

  const putNew = (user: StoredUser): Writes => [
    { Put: { TableName: table, Item: userItem(user), ConditionExpression: 'attribute_not_exists(userId)' } },
    {
      Put: {
        TableName: table,
        Item: { ...claimKey(user.email), kind: 'claim', ownerId: user.id, ...(user.expiresAt === undefined ? {} : { expiresAt: user.expiresAt }) },
        ConditionExpression: 'attribute_not_exists(userId) OR expiresAt <= :now',
        ExpressionAttributeValues: { ':now': seconds() }
      }
    }
  ]
  const asRead = (user: StoredUser) => ({ ConditionExpression: 'version = :version', ExpressionAttributeValues: { ':version': user.version } })

  async function ownerOf (email: string) {
    const claim = await getItem(claimKey(email))
    return claim !== undefined && isLive(claim) ? claim['ownerId'] as string : undefined
  }

  return {
    get,
    ownerOf,
    outbox,

    create: (user, entry) => transact([...putNew(user), { Put: outbox.write(entry) }], async () => await ownerOf(user.email) === user.id),

    fulfil: (user, entry) => transact(
      [...putNew(user), { Put: { ...outbox.write(entry), ConditionExpression: '#type = :asked', ExpressionAttributeNames: { '#type': 'type' }, ExpressionAttributeValues: { ':asked': 'registration.requested' } } }],
      async () => await ownerOf(user.email) === user.id && (await outbox.get(entry.eventId))?.type === 'user.registered'
    ),

    save: (previous, next, entry) => transact([
      { Put: { TableName: table, Item: { ...userItem(next), lastEventId: entry.eventId }, ...asRead(previous) } },
      { Put: outbox.write(entry) },
      // An account that is no longer pending keeps its address for good.
      ...(previous.expiresAt !== undefined && next.expiresAt === undefined
        ? [{ Update: { TableName: table, Key: claimKey(next.email), UpdateExpression: 'REMOVE expiresAt', ConditionExpression: 'ownerId = :id', ExpressionAttributeValues: { ':id': next.id } } }]
        : [])
    ], async () => (await getItem({ userId: next.id }))?.['lastEventId'] === entry.eventId),

    remove: (user, entry) => transact([
      { Delete: { TableName: table, Key: { userId: user.id }, ...asRead(user) } },
      { Delete: { TableName: table, Key: claimKey(user.email), ConditionExpression: 'ownerId = :id', ExpressionAttributeValues: { ':id': user.id } } },
      { Put: outbox.write(entry) }
    ], async () => await getItem({ userId: user.id }) === undefined)
  }
}
