import { ProblemError, type User, type UserService } from '../../clients/typescript/src/index.ts'
import { Failure } from '../command.ts'
import type { Options } from './options.ts'
import { printable } from './output.ts'

/** A page of a list. */
const PAGE = 100

/** The users of a service, newest first. */
export async function * usersOf (service: UserService, { status, email, signal }: { status?: User['status'] | undefined, email?: string | undefined, signal?: AbortSignal }): AsyncGenerator<User> {
  let cursor: string | undefined
  do {
    const { data } = await service.users.list({
      query: { limit: PAGE, ...(cursor === undefined ? {} : { cursor }), ...(status === undefined ? {} : { status }), ...(email === undefined ? {} : { email }) },
      ...(signal === undefined ? {} : { signal })
    })
    yield * data.items
    cursor = data.nextCursor ?? undefined
  } while (cursor !== undefined)
}

/** The user with an address or an id, and the ETag of the account. Throws a Failure when there is none. */
export async function userOf (service: UserService, who: string): Promise<{ user: User, etag: string | undefined }> {
  const none = new Failure(printable(`There is no user ${who}`))
  let id: string | undefined = who
  if (who.includes('@')) id = ((await usersOf(service, { email: who }).next()).value as User | undefined)?.id
  if (id === undefined) throw none
  try {
    const { data: user, etag } = await service.users.get({ path: { id } })
    return { user: user as User, etag }
  } catch (error) {
    throw error instanceof ProblemError && [400, 404].includes(error.status) ? none : error
  }
}

const lineOf = ({ email, id, role, status, name, createdAt }: User) => printable(`${id}  ${createdAt.slice(0, 10)}  ${status.padEnd(20)}  ${role.padEnd(5)}  ${email}  ${name}`)

/** Prints users, or the one with an address. */
export async function find (service: UserService, email: string | undefined, { status, limit, json }: Options): Promise<void> {
  let left = limit
  for await (const user of usersOf(service, { status, email })) {
    console.log(json ? JSON.stringify(user) : lineOf(user))
    if (--left === 0) return
  }
  if (left === limit && !json) console.log('No user')
}

/** Prints one user, and what admins did with the account. */
export async function show (service: UserService, who: string, { json }: Options): Promise<void> {
  const { user } = await userOf(service, who)
  const { data: { items } } = await service.users.audit({ path: { id: user.id }, query: { limit: PAGE } })
  if (json) return console.log(JSON.stringify({ ...user, audit: items }))
  for (const [name, value] of Object.entries(user)) console.log(`${name.padEnd(12)}  ${printable(typeof value === 'object' ? JSON.stringify(value) : String(value))}`)
  for (const { at, action, actorId, changed = [], status, role } of items) console.log([at, action, ...changed, status, role, 'by', actorId].filter(part => part !== undefined).join(' '))
}
