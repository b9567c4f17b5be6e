/** A bug that is put into a build of the service, so that the checks of test/rig/checks.ts can be seen to find it. */
export interface Bug {
  /** the file with the text */
  file: string
  /** stands in it once */
  find: string
  replacement: string
}

export const BUGS: Record<string, Bug> = {
  'lost write: a request for a code is answered without waiting for its write': {
    file: 'src/modules/auth/service.ts',
    find: 'const refused = await repository.requestCode(',
    replacement: 'const refused = undefined; void ((...given) => repository.requestCode(...given).catch(() => {}))('
  },
  'send before commit: a mail is sent before it is known that no other worker sends it': {
    file: 'src/modules/email/service.ts',
    find: '    const leaseId = newId()\n',
    replacement: '    await send(delivery, isExpired)\n    if (await repository.markSent(messageId).then(() => true)) return\n    const leaseId = newId()\n'
  },
  'no owner check: any signed-in user reads any account': {
    file: 'src/modules/users/service.ts',
    find: 'if (id !== actor.userId) await admitAdmin(actor)\n      const user = await getCached(id)',
    replacement: 'const user = await getCached(id)'
  },
  'cache without versions: an older record replaces a newer one': {
    file: 'src/plugins/cache/redis-store.ts',
    find: 'if version and version >= tonumber(ARGV[1]) and',
    replacement: 'if false and'
  },
  'no look at the present: a code is mailed to whom the entry names': {
    file: 'src/modules/auth/events.ts',
    find: '? await users.findByEmail(address)',
    replacement: "? { id: userId, email: address, name: 'Ada', locale: 'en', status: 'ACTIVE' }"
  }
}

/** A file's text with a bug in it. */
export function withBug (text: string, { file, find, replacement }: Bug): string {
  const times = text.split(find).length - 1
  if (times !== 1) throw new Error(`${file} holds this text ${times} times, and not once: ${find}`)
  return text.replace(find, () => replacement)
}
