import fc from 'fast-check'
import type { User } from '../../src/modules/users/contract.ts'
import { idFrom, newId } from '../../src/shared/ids.ts'
import { accountFault, accountsIn, claimsIn } from './model.ts'
import { demand, type Race } from './search.ts'
import { unconditional, type World } from './world.ts'

const ADDRESS = 'ada@example.com'

/** register ∥ register: the same address, by both versions' ways, with an account that has expired, or without. */
export async function createRegisterRace (world: World): Promise<Race<{ ways: ('v1' | 'v2' | 'v2 again')[], hasExpired: boolean }>> {
  const free = world.snapshot()
  await world.apps[0].users.register({ email: ADDRESS, name: 'Before' }, 'race')
  world.pass(8 * 24 * 3600_000) // DynamoDB may remove it days later
  const expired = world.snapshot()
  free()
  const requests = Array.from({ length: 2 }, newId)

  return {
    name: 'register',
    scenario: fc.record({ ways: fc.array(fc.constantFrom('v1', 'v2', 'v2 again'), { minLength: 2, maxLength: 4 }), hasExpired: fc.boolean() }),
    plants: {
      'a claim is written without a condition': unconditional(({ Item }) => Item?.kind === 'claim'),
      'a user is not told its own write from another one': (command, { Key }) => command === 'GetCommand' && String(Key.userId).startsWith('email#') ? {} : undefined
    },

    async play ({ ways, hasExpired }, { together }) {
      (hasExpired ? expired : free)()
      const items = () => world.tables.itemsOf('UsersTable')

      const actors = await together(({ add }) => {
        ways.forEach((way, i) => {
          const { users } = world.apps[i % 2]!
          // The entry of one request is handled twice at once: `v2 again` is the same request.
          const request = requests[way === 'v2 again' ? 1 : i % 2]!
          const registration = { userId: idFrom(request, 'user'), challengeId: idFrom(request, 'challenge'), email: ADDRESS, name: `Ada ${request}`.slice(0, 20), locale: 'en', expiresAt: new Date(world.now() + 600_000).toISOString() }
          add(`${way} ${i}`, () => way === 'v1' ? users.register({ email: ADDRESS, name: `Ada ${i}` }, 'race') : users.openAccount(registration, 'race'))
        })
      }, () => {
        const fault = accountFault(items(), world.now())
        demand(fault === undefined, () => fault!)
      })

      const accounts = accountsIn(items(), world.now())
      demand(accounts.length <= 1, () => `${accounts.length} accounts have the address`)
      const owner = claimsIn(items(), world.now()).get(ADDRESS)
      for (const { name, state, value, error } of actors) {
        if (state === 'fulfilled') demand((value as User | undefined)?.id === owner, () => `${name} was answered with an account that does not have the address`)
        if (state === 'rejected') demand((name.startsWith('v1') && error!.code === 'USERS_EMAIL_TAKEN') || error!.statusCode === 503, () => `${name} failed: ${error!.message}`)
        if (state === 'rejected') demand(owner !== undefined || error!.statusCode === 503, () => `${name} was refused, and the address has no account`)
      }
      const names = items().map(({ name }) => name)
      for (const { name, state, position } of actors) if (state === 'rejected' && name.startsWith('v1')) demand(!names.includes(`Ada ${position}`), () => `${name} was refused because of its own account`)
      const created = actors.filter(({ name, state }) => name.startsWith('v1') && state === 'fulfilled')
      demand(created.length <= 1, () => 'two registrations were acknowledged')
      const entries = world.waiting().filter(({ type, subject }) => type === 'user.registered' && subject === owner)
      demand(entries.length === (owner === undefined ? 0 : 1), () => `${entries.length} entries announce the account`)
    }
  }
}
