import type { UserService } from '../../clients/typescript/src/index.ts'
import { confirm } from '../command.ts'
import { userOf } from './lookup.ts'
import type { Options } from './options.ts'
import { printable } from './output.ts'

const CHANGES = {
  promote: { patch: { role: 'admin' }, is: 'is an admin' },
  demote: { patch: { role: 'user' }, is: 'is no admin' },
  suspend: { patch: { status: 'SUSPENDED' }, is: 'is suspended' },
  reactivate: { patch: { status: 'ACTIVE' }, is: 'is active' }
} as const

/** Changes or erases an account, after a question where it is erased. */
export async function change (service: UserService, verb: keyof typeof CHANGES | 'delete', who: string, { json, dryRun, yes }: Options): Promise<void> {
  const { user, etag } = await userOf(service, who)
  const { email, id, version } = user
  const about = `${email} (${id}, ${user.status}, ${user.role})`
  const isDone = verb !== 'delete' && Object.entries(CHANGES[verb].patch).every(([field, value]) => user[field as 'role'] === value)
  if (isDone || dryRun) {
    const said = isDone ? `${about} ${CHANGES[verb as 'promote'].is} already` : `Would ${verb} ${about}`
    return console.log(json ? JSON.stringify({ ...user, changed: false }) : printable(said))
  }
  if (!await confirm(printable(verb === 'delete' ? `Erase ${about} permanently?` : `${verb} ${about}?`), yes || verb !== 'delete')) return console.log('Nothing was changed')
  // Only the account that was shown: one that has changed meanwhile is looked at again.
  if (verb === 'delete') await service.users.delete({ path: { id }, ifMatch: etag })
  const changed = verb === 'delete' ? { id, email, version } : (await service.users.update({ path: { id }, ifMatch: etag, body: CHANGES[verb].patch })).data
  console.log(json ? JSON.stringify({ ...changed, changed: true }) : printable(`${email} ${verb === 'delete' ? 'was erased' : CHANGES[verb].is}`))
}
