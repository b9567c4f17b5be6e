import type { Bug } from './bugs.ts'

/** A bug that a test of a promise must find, at the size that it has in `npm test`. */
interface PropertyBug extends Bug {
  /** the test file that must fail */
  test: string
  /** what its output then says */
  says: RegExp
}

/** By what is broken; the number is of docs/promises.md. */
export const PROPERTY_BUGS: Record<string, PropertyBug> = {
  '22: a registration may have fields of no document': {
    file: 'src/modules/users/schemas.ts',
    find: "{ ...Strict, $id: 'Registration'",
    replacement: "{ $id: 'Registration'",
    test: 'test/plugins/bodies.test.ts',
    says: /not ok .*promise 22: /
  },
  '24: any correlation id is kept': {
    file: 'src/plugins/correlation.ts',
    find: 'CORRELATION_ID_PATTERN.test(given)',
    replacement: 'CORRELATION_ID_PATTERN !== undefined',
    test: 'test/plugins/correlation.test.ts',
    says: /not ok .*promise 24: /
  },
  '24: a name is shown as it is': {
    file: 'src/modules/email/service.ts',
    find: 'to: { name: toName, address: email }',
    replacement: 'to: { name, address: email }',
    test: 'test/modules/email/recipients.test.ts',
    says: /not ok .*promise 24: /
  },
  '25: on Lambda, X-Forwarded-For says who the client is': {
    file: 'src/lambda/request.ts',
    find: '  if (isV2(event)) return event.requestContext.http.sourceIp\n',
    replacement: "  if (headers['x-forwarded-for'] !== undefined) return addressOf([headers['x-forwarded-for']].flat()[0]!)\n",
    test: 'test/security/forged-headers.test.ts',
    says: /not ok .*promise 25: /
  },
  '26: a token for another audience is accepted': {
    file: 'src/shared/access-token.ts',
    find: '  allowedAud: audience,\n',
    replacement: '',
    test: 'test/plugins/jwt.test.ts',
    says: /not ok .*promise 26: /
  },
  '27: any signed-in user reads any account': {
    file: 'src/modules/users/service.ts',
    find: 'if (id !== actor.userId) await admitAdmin(actor)\n      const user = await getCached(id)',
    replacement: 'const user = await getCached(id)',
    test: 'test/contract/contract.test.ts',
    says: /not ok .*promise 27: .*kinds of caller: [1-9]/
  },
  '27: a patch may have properties of no document': {
    file: 'src/modules/users/schemas.ts',
    find: "}, { ...Strict, title: 'UserPatch'",
    replacement: "}, { title: 'UserPatch'",
    test: 'test/contract/contract.test.ts',
    says: /not ok .*promise 27: .*\): [1-9]\d* accepted/
  },
  '29: a code for an address without an account is not written': {
    file: 'src/modules/auth/service.ts',
    find: '      const { id, at } = requestOf(operation)\n      const challenge = await countedCode(email, network, { at }, idFrom(id, \'challenge\')',
    replacement: '      const { id, at } = requestOf(operation)\n      if (said === undefined && await users.findByEmail(email) === undefined) return newChallenge(at, id)\n      const challenge = await countedCode(email, network, { at }, idFrom(id, \'challenge\')',
    test: 'test/security/enumeration.test.ts',
    says: /not ok .*promise 29: /
  },
  '30: the networks of one site do not count together': {
    file: 'src/modules/auth/allowance.ts',
    find: "network.endsWith('/64') ?",
    replacement: "network.endsWith('/65') ?",
    test: 'test/modules/auth/allowance.test.ts',
    says: /not ok .*promise 30: /
  },
  'merge patch: null does not remove a field': {
    file: 'src/modules/users/service.ts',
    find: 'changes.mail === null && previous.mail !== undefined',
    replacement: 'false',
    test: 'test/modules/users/merge-patch.test.ts',
    says: /another user: /
  },
  'merge patch: a patch of other fields changes the language': {
    file: 'src/modules/users/service.ts',
    find: 'const changes = normalized(patch)\n      return await until',
    replacement: "const changes = normalized({ locale: 'en', ...patch })\n      return await until",
    test: 'test/modules/users/merge-patch.test.ts',
    says: /another user: /
  }
}
