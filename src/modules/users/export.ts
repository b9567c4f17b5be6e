import { Type, type TObject } from '@sinclair/typebox'
import { openAddresses } from './account-state.ts'
import type { User, UsersService } from './contract.ts'
import type { DirectoryRepository } from './directory-repository.ts'
import { MAX_FORMER } from './email-change.ts'
import type { UsersRepository } from './repository.ts'
import { ExportedAction, ExportedAddress, UserExport } from './schemas.ts'

/** Admins act on an account now and then. Older lines than these are left out. */
const MAX_ACTIONS = 1000

/**
 * The parts of a user's export. Each module adds the part that it stores, so that no module reads another one's table.
 * `schema` has all parts once the app is built; a route may use it before that.
 */
export function createExport ({ repository, directory, now }: { repository: Pick<UsersRepository, 'get'>, directory: Pick<DirectoryRepository, 'audit'>, now: () => Date }) {
  const parts = new Map<string, (user: User) => Promise<unknown>>()
  const schema: TObject & { required?: string[] } = Type.Object({ ...UserExport.properties }, { title: 'UserExport' })

  const contribute: UsersService['contribute'] = (name, part) => {
    if (name in schema.properties) throw new Error(`users: the export has two parts ${name}`)
    // Fastify compiles the schemas of routes when the app is ready, and the API documents are made later still.
    Object.assign(schema.properties, { [name]: part.schema })
    schema.required!.push(name)
    parts.set(name, part.collect)
  }

  async function collect (account: User): Promise<UserExport> {
    const collected = await Promise.all([...parts].map(async ([name, collectPart]) => [name, await collectPart(account)]))
    return { exportedAt: now().toISOString(), account, ...Object.fromEntries(collected) as object }
  }

  contribute('adminActions', {
    schema: Type.Array(ExportedAction, { maxItems: MAX_ACTIONS, description: 'What admins did with the account in the last 400 days, newest first' }),
    async collect ({ id }) {
      const { items } = await directory.audit(id, { limit: MAX_ACTIONS })
      return items.map(({ id, actorId, correlationId, ...action }) => action)
    }
  })

  contribute('formerAddresses', {
    schema: Type.Array(ExportedAddress, { maxItems: MAX_FORMER, description: 'Addresses that the account can have back, oldest first' }),
    async collect ({ id }) {
      const user = await repository.get(id)
      return (user === undefined ? [] : openAddresses(user, now())).map(({ email, until }) => ({ email, until: new Date(until * 1000).toISOString() }))
    }
  })

  return { schema, contribute, collect }
}
