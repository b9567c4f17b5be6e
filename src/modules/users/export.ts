import { Type, type TObject, type TSchema } from '@sinclair/typebox'
import { openAddresses, publicUser } from './account-state.ts'
import type { UsersService } from './contract.ts'
import type { DirectoryRepository } from './directory-repository.ts'
import { MAX_FORMER } from './email-change.ts'
import { ExportedAction, ExportedAddress, UserExport, type StoredUser } from './schemas.ts'

/** Admins act on an account now and then. Older lines than these are left out. */
const MAX_ACTIONS = 1000

/**
 * The parts of a user's export. Each module adds the part that it stores, so that no module reads another one's table.
 * `schema` has all parts once the app is built; a route may use it before that.
 */
export function createExport ({ directory, now }: { directory: Pick<DirectoryRepository, 'audit'>, now: () => Date }) {
  const parts = new Map<string, (stored: StoredUser) => Promise<unknown>>()
  const schema: TObject & { required?: string[] } = Type.Object({ ...UserExport.properties }, { title: 'UserExport' })

  function add (name: string, part: TSchema, collectPart: (stored: StoredUser) => Promise<unknown>): void {
    if (name in schema.properties) throw new Error(`users: the export has two parts ${name}`)
    // Schemas of routes are compiled, and the API documents made, when the app has been built.
    Object.assign(schema.properties, { [name]: part })
    schema.required!.push(name)
    parts.set(name, collectPart)
  }

  const contribute: UsersService['contribute'] = (name, { schema: part, collect: collectPart }) => {
    add(name, part, async stored => await collectPart(publicUser(stored)))
  }

  async function collect (stored: StoredUser): Promise<UserExport> {
    const collected = await Promise.all([...parts].map(async ([name, collectPart]) => [name, await collectPart(stored)]))
    return { exportedAt: now().toISOString(), account: publicUser(stored), ...Object.fromEntries(collected) as object }
  }

  contribute('adminActions', {
    schema: Type.Array(ExportedAction, { maxItems: MAX_ACTIONS, description: 'What admins did with the account in the last 400 days, newest first' }),
    async collect ({ id }) {
      const { items } = await directory.audit(id, { limit: MAX_ACTIONS })
      return items.map(({ id, actorId, correlationId, ...action }) => action)
    }
  })

  add('formerAddresses', Type.Array(ExportedAddress, { maxItems: MAX_FORMER, description: 'Addresses that the account can have back, oldest first' }),
    async stored => openAddresses(stored, now()).map(({ email, until }) => ({ email, until: new Date(until * 1000).toISOString() })))

  return { schema, contribute, collect }
}
