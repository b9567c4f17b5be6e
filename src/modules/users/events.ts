import { Type, type TSchema } from '@sinclair/typebox'
import type { EventBus } from '../../plugins/event-bus.ts'
import type { Outboxes } from '../../plugins/outbox/index.ts'
import { accountNow, publicUser } from './account-state.ts'
import type { Follower, User, UsersEntry, UsersEntryType, UsersService } from './contract.ts'
import type { DirectoryRepository } from './directory-repository.ts'
import type { UsersRepository } from './repository.ts'
import { User as UserSchema, USERS_ENTRIES } from './schemas.ts'

export interface EventsOptions {
  outbox: Pick<Outboxes, 'on'>
  repository: Pick<UsersRepository, 'get'>
  directory: Pick<DirectoryRepository, 'noteListed'>
  eventBus: EventBus
  now: () => Date
}

/** A user as an event shows it. Its version is called `userVersion`, as in every event: consumers order events by it. */
function profileOf ({ id: userId, version: userVersion, ...profile }: User) {
  return { userId, userVersion, ...profile }
}

/** Entries for other modules only: they say nothing about the account. */
const INTERNAL = ['user.invited', 'user.signed-out'] as const
type PublishedEntry = Exclude<UsersEntry, { type: typeof INTERNAL[number] }>

const isInternal = (type: string): boolean => (INTERNAL as readonly string[]).includes(type)
const isPublished = (entry: UsersEntry): entry is PublishedEntry => !isInternal(entry.type)

function dataOf (entry: PublishedEntry): object {
  if (entry.type === 'user.deleted') return { userId: entry.data.userId, userVersion: entry.data.userVersion }
  return { ...profileOf(entry.data.user), ...('changed' in entry.data ? { changed: entry.data.changed } : {}) }
}

const { id: userId, version: userVersion, ...profile } = UserSchema.properties
const About = { userId, userVersion: Type.Unsafe<number>({ ...userVersion, description: 'Increases by one with each change of the account, its deletion included' }) }
const Changed = Type.Array(Type.String({ maxLength: 64, pattern: '^[a-zA-Z]+$', examples: ['name'] }), { maxItems: 20, uniqueItems: true, description: 'The fields that have changed' })

/** The events of this module: the schema of each `data` is made from its entry's, as `dataOf` makes the data. */
export const USERS_EVENTS = Object.entries(USERS_ENTRIES as Record<string, TSchema & { properties: object }>).filter(([type]) => !isInternal(type)).map(([type, entry]) => ({
  type,
  description: entry.description ?? `Announces ${type}`,
  data: 'user' in entry.properties ? Type.Object({ ...About, ...profile, ...('changed' in entry.properties ? { changed: Changed } : {}) }) : Type.Object(About)
}))

/**
 * Handles a change of an account: first the handlers of other modules, then the event for other services. Every step may
 * be repeated. Once an account is gone, only its deletion is announced.
 */
export function createEvents ({ outbox, repository, directory, eventBus, now }: EventsOptions): { follow: UsersService['follow'] } {
  const followers = new Map<UsersEntryType, Follower<never>[]>()

  async function handle (entry: UsersEntry): Promise<void> {
    const stored = await repository.get(entry.subject)
    const present = stored === undefined ? undefined : publicUser(stored)
    for (const follower of followers.get(entry.type) ?? []) await follower(entry as never, present, accountNow(stored, now()))
    if (entry.type === 'user.registered') await directory.noteListed(entry.data.user.createdAt)
    if (!isPublished(entry) || (present === undefined && entry.type !== 'user.deleted')) return
    const { eventId, type, occurredAt, correlationId } = entry
    await eventBus.publish({ eventId, type, version: 1, occurredAt, correlationId, data: dataOf(entry) })
  }

  for (const type of Object.keys(USERS_ENTRIES) as UsersEntryType[]) outbox.on<UsersEntry>(type, handle)

  return {
    follow (type, follower) {
      followers.set(type, [...followers.get(type) ?? [], follower as unknown as Follower<never>])
    }
  }
}
