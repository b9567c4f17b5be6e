import t from 'tap'
import { firstRefreshToken, isOfFamily, newSecret, nextRefreshToken, parseRefreshToken } from '../../../src/modules/auth/tokens.ts'

// Sessions of the version before are in the table while a new one is deployed, and for 90 days: these values never change.
const USER = '00112233-4455-6677-8899-aabbccddeeff'
const SID = 'ffeeddcc-bbaa-4988-8766-554433221100'
const FAMILY_KEY = 'BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc'
const SALT = 'CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk'
const FIRST = 'ABEiM0RVZneImaq7zN3u___u3cy7qkmIh2ZVRDMiEQAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBUGnoD-LhnrLHy9fjGmyepE'
const NEXT = 'ABEiM0RVZneImaq7zN3u___u3cy7qkmIh2ZVRDMiEQAbAzYnaImyV0PPFbfBhkVRedvZ7MXspKmGS7vV2B4fYli_TuNOD-fGa4b_Gmk0d9Y'
const HASHES = ['393356c9078cb20f11cc8c26198ad4b964b545acc42807f8ec5d9f0259ce9048', 'e16066ee3a84fb78c6abbf4d2a9c2aef9b63f2b8b55bee52c3720f2f9e0aaad6']

t.test('a token that was issued once is understood for good, and so is its successor', async t => {
  const first = parseRefreshToken(FIRST)!
  const next = nextRefreshToken(first, SALT, FAMILY_KEY)
  t.same([first, next].map(({ bytes, ...token }) => token), [FIRST, NEXT].map((text, i) => ({ text, hash: HASHES[i], userId: USER, sid: SID })))
  for (const token of [first, next]) {
    t.equal(isOfFamily(token, FAMILY_KEY), true)
    t.equal(isOfFamily(token, SALT), false)
  }
})

t.test('a first token has the ids of its session, and each has a secret of its own', async t => {
  const tokens = Array.from({ length: 2 }, () => firstRefreshToken(USER, SID, FAMILY_KEY))
  for (const { text, ...token } of tokens) {
    t.match(text, /^[\w-]{107}$/)
    t.match(token, { userId: USER, sid: SID })
    t.equal(parseRefreshToken(text)?.hash, token.hash)
  }
  t.not(tokens[0]!.text, tokens[1]!.text)
  t.match(newSecret(), /^[\w-]{43}$/)
  t.not(newSecret(), newSecret())
})

t.test('a text that is no token is none, whatever it begins with', async t => {
  for (const text of ['', 'AAAA', FIRST.slice(0, -1), `${FIRST}AAAA`, `${FIRST}=`, ` ${FIRST}`, FIRST.replaceAll('_', '/'), FIRST.replace('AFBQ', 'AF.BQ')]) t.equal(parseRefreshToken(text), undefined, text)
})
