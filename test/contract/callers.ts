import type { Operation } from '../../scripts/client/document.ts'
import { unknownId, type Account, type World } from './world.ts'

/**
 * Every kind of caller. An account that was never proved has no token: `unverified` shows what such a user has, the id of
 * a challenge. `owner` is the user whom the request is about. The tokens of a suspended and a demoted admin still say that
 * they are admins.
 */
export const CALLERS = ['anonymous', 'forged', 'unverified', 'suspended', 'deleted', 'suspended admin', 'demoted admin', 'other', 'owner', 'admin'] as const
export type Caller = typeof CALLERS[number]

/** Who may call an operation, as its document says it: by `security`, by the path, and by `x-roles`. */
export type Access = 'public' | 'own account' | 'own resource' | 'owner or admin' | 'admin'

export function accessOf ({ isSecured, path, raw }: Operation): Access {
  if (!isSecured) return 'public'
  const roles = raw['x-roles'] as string[] | undefined
  if (roles !== undefined && !roles.includes('user')) return 'admin'
  if (!path.includes('{')) return 'own account'
  return /\/me\//.test(path) ? 'own resource' : 'owner or admin'
}

/** Statuses for callers that are refused; `success` is the operation's own. */
export function expectedStatus (access: Access, caller: Caller): number | 'success' {
  if (access === 'public') return 'success'
  if (['anonymous', 'forged', 'unverified'].includes(caller)) return 401
  // The role in the token is asked before the table: these have the role of a user.
  if (caller === 'suspended' || caller === 'deleted') return access === 'admin' ? 403 : 401
  if (caller === 'suspended admin') return 401
  const isNotOwner = caller === 'other' || caller === 'demoted admin'
  switch (access) {
    case 'own account': return 'success'
    case 'own resource': return caller === 'owner' ? 'success' : 404
    case 'owner or admin': return isNotOwner ? 404 : 'success'
    case 'admin': return caller === 'admin' ? 'success' : 403
  }
}

/** Makes callers. Those that change nothing are made once. */
export function createCallers (world: World) {
  const kept = new Map<string, Promise<Account>>()
  const once = (kind: string, make: () => Promise<Account>): Promise<Account> => {
    const known = kept.get(kind) ?? make()
    kept.set(kind, known)
    return known
  }
  const admin = () => once('admin', () => world.admin())

  async function changedAdmin (body: object) {
    const account = await world.admin()
    await world.call('PATCH', `/v2/users/${account.id}`, { token: (await admin()).accessToken, body })
    return account
  }

  const CHANGED = {
    async suspended () {
      const account = await world.account()
      await world.call('PATCH', `/v2/users/${account.id}`, { token: (await admin()).accessToken, body: { status: 'SUSPENDED' } })
      return account
    },
    async deleted () {
      const account = await world.account()
      await world.call('DELETE', '/v2/users/me', { token: account.accessToken })
      return account
    },
    'suspended admin': async () => await changedAdmin({ status: 'SUSPENDED' }),
    'demoted admin': async () => await changedAdmin({ role: 'user' })
  }

  return {
    /**
     * The token that a caller shows, and its account if it has one.
     *
     * @param fresh whether the request uses up the account
     */
    async of (caller: Caller, owner: Account, fresh: boolean): Promise<{ token?: string, account?: Account }> {
      switch (caller) {
        case 'anonymous': return {}
        case 'forged': return { token: `${owner.accessToken.slice(0, -8)}AAAAAAAA` }
        case 'unverified': return { token: unknownId() }
        case 'owner': return { token: owner.accessToken, account: owner }
        case 'admin': {
          const account = await (fresh ? world.admin() : admin())
          return { token: account.accessToken, account }
        }
        default: {
          const make = caller === 'other' ? () => world.account() : CHANGED[caller]
          const account = await (fresh ? make() : once(caller, make))
          return { token: account.accessToken, account }
        }
      }
    },

    /** The owner of a resource. */
    owner: (fresh: boolean) => fresh ? world.account() : once('owner', () => world.account())
  }
}
