import t from 'tap'
import { CLOCK_SKEW, entryOf, isNewer, parseEntry, type Versioned } from '../../../src/plugins/cache/entry.ts'

const NOW = 1_700_000_000_000
const TTL = 60_000

const { now } = Date
Date.now = () => NOW
t.teardown(() => { Date.now = now })

const EXPIRY = NOW + TTL
const ada = { version: 3, name: 'Ada' }

t.test('an entry is its version, its expiry and its record, and is read as it was written', async t => {
  t.equal(entryOf(3, ada, TTL), `3@${EXPIRY}:{"version":3,"name":"Ada"}`)
  t.same(parseEntry(entryOf(3, ada, TTL), TTL), { version: 3, expiry: EXPIRY, value: ada })
  t.equal(entryOf(4, undefined, TTL), `4@${EXPIRY}:`, 'of a deleted record, nothing')
  t.same(parseEntry(entryOf(4, undefined, TTL), TTL), { version: 4, expiry: EXPIRY, value: undefined })
})

t.test('an entry is good until the millisecond in which it expires, and for no longer than the TTL and a clock that is ahead', async t => {
  for (const [expiry, isGood] of [[NOW - 1, false], [NOW, false], [NOW + 1, true], [EXPIRY, true], [EXPIRY + CLOCK_SKEW, true], [EXPIRY + CLOCK_SKEW + 1, false]] as const) {
    t.equal(parseEntry(`4@${expiry}:`, TTL) !== undefined, isGood, String(expiry - NOW))
  }
})

t.test('an entry may be as long as 16 KiB, and its numbers as long as 15 digits', async t => {
  const long = (length: number) => {
    const padded = (size: number) => entryOf(3, { version: 3, pad: 'x'.repeat(size) } as Versioned, TTL)
    return padded(length - padded(0).length)
  }
  t.equal(long(16_384).length, 16_384)
  t.ok(parseEntry(long(16_384), TTL))
  t.equal(parseEntry(long(16_385), TTL), undefined)
  t.match(parseEntry(`${'9'.repeat(15)}@${EXPIRY}:`, TTL), { version: 999_999_999_999_999 })
  t.equal(parseEntry(`${'9'.repeat(16)}@${EXPIRY}:`, TTL), undefined)
})

t.test('what only resembles an entry is none', async t => {
  for (const text of ['', 'x', `x3@${EXPIRY}:`, ` 3@${EXPIRY}:`, `3@${EXPIRY}`, '3@x:', '3@:', `@${EXPIRY}:`, `x@${EXPIRY}:`, `3@${EXPIRY}:{`, `3@${EXPIRY}:null`, `3@${EXPIRY}:7`, `3@${EXPIRY}:{"version":2}`, `3@${EXPIRY}:{"version":"3"}`]) {
    t.equal(parseEntry(text, TTL), undefined, text)
  }
})

t.test('an entry is a later version of a record when it is at most a hundred writes ahead', async t => {
  for (const [version, isLater] of [[6, false], [7, false], [8, true], [107, true], [108, false]] as const) t.equal(isNewer(`${version}@${EXPIRY}:`, 7, TTL), isLater, String(version))
  t.equal(isNewer(`8@${NOW}:`, 7, TTL), false, 'unless it has expired')
  t.equal(isNewer('no entry', 7, TTL), false)
})
