import fc from 'fast-check'
import t from 'tap'
import { canonicalEmail } from '../../src/shared/email-address.ts'
import { idFrom, newNumberedId, numberIn, UUID } from '../../src/shared/ids.ts'
import { canonicalLocale } from '../../src/shared/locale.ts'
import { networkOf } from '../../src/shared/network.ts'
import { normalName } from '../../src/shared/person-name.ts'
import { workload } from '../promise.ts'

// A failure prints its seed and the smallest example that fast-check found.
const numRuns = workload({ short: 300, full: 20_000 })
const check = (property: Parameters<typeof fc.assert>[0]) => fc.assert(property as fc.IProperty<unknown>, { numRuns })

/** Characters that look or fold like others, between ordinary ones. */
const character = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...'abkKsSiI019.-+_@ ') }, fc.constantFrom(...'\u212a\u0131\u0130\u017fßﬀａ．＠\u3002\u00ad\u200b\u200d\u202e\u0301\r\n\0,;<>()"\\%'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }))
const text = fc.string({ unit: character, maxLength: 30 })
const address = fc.oneof(text, fc.tuple(text, text).map(([local, domain]) => `${local}@${domain}.com`), fc.emailAddress())

t.test('an address has one canonical spelling, which is canonical itself', async () => {
  check(fc.property(address, typed => {
    const email = canonicalEmail(typed)
    return email === undefined || canonicalEmail(email) === email
  }))
})

t.test('a canonical address holds one recipient and nothing that a header or a list could read otherwise', async () => {
  check(fc.property(address, typed => {
    const email = canonicalEmail(typed)
    return email === undefined || /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-z0-9.-]+$/.test(email)
  }))
})

t.test('two addresses are the same only when their local parts differ in nothing but ASCII case', async () => {
  const asciiLower = (local: string) => local.replace(/[A-Z]/g, c => c.toLowerCase())
  const localOf = (typed: string) => { const trimmed = typed.trim(); return trimmed.slice(0, trimmed.lastIndexOf('@')) }
  // One address, and another one that differs from it in one character.
  const pair = fc.tuple(fc.string({ unit: fc.constantFrom(...'kKsSiI.+9'), minLength: 1, maxLength: 8 }), fc.nat(7), character)
    .map(([local, at, c]) => [local, `${local.slice(0, at)}${c}${local.slice(at + 1)}`].map(part => `${part}@example.com`) as [string, string])
  check(fc.property(pair, ([one, other]) => {
    const email = canonicalEmail(one)
    return email === undefined || email !== canonicalEmail(other) || asciiLower(localOf(one)) === asciiLower(localOf(other))
  }))
})

t.test('a name is normal once it was made normal', async () => {
  check(fc.property(text, typed => {
    const name = normalName(typed)
    return name === undefined || normalName(name) === name
  }))
})

t.test('a language tag is canonical once it was made canonical, and case makes no other one', async () => {
  const tag = fc.array(fc.string({ unit: fc.constantFrom(...'aAbdDeEnNuxX019'), minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }).map(parts => parts.join('-'))
  check(fc.property(tag, typed => {
    const locale = canonicalLocale(typed)
    return locale === canonicalLocale(typed.toUpperCase()) && (locale === undefined || canonicalLocale(locale) === locale)
  }))
})

t.test('an id gives back the number that it carries, and is a UUID', async () => {
  check(fc.property(fc.nat(0xffff_ffff), number => {
    const id = newNumberedId(number)
    return UUID.test(id) && numberIn(id) === number
  }))
})

t.test('ids derived from different ids, or for different parts, differ; from the same they are the same', async () => {
  check(fc.property(fc.uuid(), fc.uuid(), fc.constantFrom('user', 'challenge', 0, 1), fc.constantFrom('user', 'challenge', 0, 1), (a, b, part, other) =>
    UUID.test(idFrom(a, part)) && (idFrom(a, part) === idFrom(b, other)) === (a === b && part === other)))
})

t.test('addresses are one network when they share an IPv4 address or the first 64 bits, however they are written', async () => {
  check(fc.property(fc.ipV6(), address => {
    const network = networkOf(address)
    // An IPv4 address in IPv6 is that address.
    if (!network.endsWith('/64')) return networkOf(`[${address}]:443`) === network
    const prefix = network.slice(0, -'/64'.length)
    return networkOf(prefix) === network && networkOf(address.toUpperCase()) === network && networkOf(`[${address}%eth0]:443`) === network && networkOf(`${prefix.replace(/::$/, '')}:1:2:3:4`) === network
  }))
})
