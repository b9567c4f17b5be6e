import type { EventBus } from '../../plugins/event-bus.ts'
import type { Outboxes } from '../../plugins/outbox/index.ts'
import { accountNow, publicUser } from './account-state.ts'
import type { Follower, User, UsersEntry, UsersEntryType, UsersService } from './contract.ts'
import type { DirectoryRepository } from './directory-repository.ts'
import type { UsersRepository } from './repository.ts'
import { USERS_ENTRIES } from './schemas.ts'

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

function dataOf (entry: Exclude<UsersEntry, { type: 'user.invited' | 'user.signed-out' }>): object {
  if (entry.type === 'user.deleted') return { userId: entry.data.userId, userVersion: entry.data.userVersion }
  return { ...profileOf(entry.data.user), ...('changed' in entry.data ? { changed: entry.data.changed } : {}) }
}

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
    // These say nothing about the account to other services.
    if (entry.type === 'user.invited' || entry.type === 'user.signed-out') return
    if (present === undefined && entry.type !== 'user.deleted') return
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
