import fc from 'fast-check'
import t from 'tap'
import { firstRefreshToken, isOfFamily, newSecret, nextRefreshToken, parseRefreshToken } from '../../../src/modules/auth/tokens.ts'
import { workload } from '../../promise.ts'

// A failure prints its seed and the smallest example that fast-check found.
const numRuns = workload({ short: 200, full: 10_000 })

const familyKey = newSecret()
const salt = newSecret()
/** A token of the family after some rotations. */
const tokenOf = fc.tuple(fc.uuid(), fc.uuid(), fc.nat(3)).map(([userId, sid, rotations]) => {
  let token = firstRefreshToken(userId, sid, familyKey)
  for (let i = 0; i < rotations; i++) token = nextRefreshToken(token, salt, familyKey)
  return { userId, sid, token }
})

t.test('a token is parsed to what it was made of, and is of its family', async () => {
  fc.assert(fc.property(tokenOf, ({ userId, sid, token }) => {
    const parsed = parseRefreshToken(token.text)
    return parsed?.userId === userId && parsed.sid === sid && parsed.hash === token.hash && isOfFamily(parsed, familyKey)
  }), { numRuns })
})

t.test('a token with one bit changed anywhere is of no family', async () => {
  fc.assert(fc.property(tokenOf, fc.nat(79), fc.nat(7), ({ token }, byte, bit) => {
    const bytes = Buffer.from(token.bytes)
    bytes[byte]! ^= 1 << bit
    const forged = parseRefreshToken(bytes.toString('base64url'))
    return forged !== undefined && !isOfFamily(forged, familyKey) && forged.hash !== token.hash
  }), { numRuns })
})

t.test('a token is of no other family, and no text but its own is parsed to it', async () => {
  fc.assert(fc.property(tokenOf, fc.nat(107), fc.constantFrom('', '=', ' ', '+', '/', '.', '\n', 'A', 'é'), ({ token }, at, inserted) => {
    const text = `${token.text.slice(0, at)}${inserted}${token.text.slice(at)}`
    const parsed = parseRefreshToken(text)
    return !isOfFamily(token, newSecret()) && (text === token.text || parsed?.hash !== token.hash)
  }), { numRuns })
})

t.test('a successor is always the same, differs from its token, and needs the salt', async () => {
  fc.assert(fc.property(tokenOf, ({ token }) => {
    const next = nextRefreshToken(token, salt, familyKey)
    return next.text === nextRefreshToken(token, salt, familyKey).text && next.text !== token.text && next.text !== nextRefreshToken(token, newSecret(), familyKey).text && isOfFamily(next, familyKey)
  }), { numRuns })
})

t.test('any text is parsed or refused, without an exception', async () => {
  fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 120 }), fc.base64String({ minLength: 100, maxLength: 112 })), text => {
    const parsed = parseRefreshToken(text)
    return parsed === undefined || (parsed.text === text && !isOfFamily(parsed, familyKey))
  }), { numRuns })
})
