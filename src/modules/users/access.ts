import type { AccessClaims } from '../../plugins/jwt.ts'
import { Unauthorized } from '../../shared/errors.ts'
import type { User, UsersService } from './contract.ts'
import { UserNotFound } from './errors.ts'

/**
 * The account a request is about, if its bearer may see it: their own, or any for an admin. Somebody else's account
 * and none at all look the same. A bearer who is no longer there, or suspended, has no valid token.
 */
export async function accessibleUser (users: UsersService, bearer: AccessClaims, id: string): Promise<User> {
  if (id === 'me' || id === bearer.userId) {
    const user = await users.get(bearer.userId)
    if (user === undefined && id !== 'me') throw new UserNotFound()
    if (user === undefined || user.status === 'SUSPENDED') throw new Unauthorized()
    return user
  }
  if (bearer.role !== 'admin' || !await isAdmin(users, bearer)) throw new UserNotFound()
  const user = await users.get(id)
  if (user === undefined) throw new UserNotFound()
  return user
}

/** Whether the bearer is an admin now: the token's word is up to ten minutes old. */
export async function isAdmin (users: UsersService, bearer: AccessClaims): Promise<boolean> {
  const self = await users.get(bearer.userId)
  if (self === undefined || self.status === 'SUSPENDED') throw new Unauthorized()
  return self.role === 'admin'
}
