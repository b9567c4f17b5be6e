import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { CanonicalEmail, canonicalEmail, Email, isEmail } from '../../src/shared/email-address.ts'

const A64 = 'a'.repeat(64)
/** A domain of so many characters, with labels of at most 63. */
const domainOf = (length: number) => `${`${'d'.repeat(49)}.`.repeat(Math.floor((length - 4) / 50))}${'d'.repeat((length - 4) % 50)}.com`.replace('..', '.d')

t.test('an address is kept in one spelling', async t => {
  const spellings: Record<string, string> = {
    'ada@example.com': 'ada@example.com',
    ' \tAda@Example.COM\n': 'ada@example.com',
    'a.b+c@example.com': 'a.b+c@example.com',
    "o'b!#$%&*/=?^_`{|}~-@example.com": "o'b!#$%&*/=?^_`{|}~-@example.com",
    'ada@bücher.example': 'ada@xn--bcher-kva.example',
    'ada@xn--bcher-kva.example': 'ada@xn--bcher-kva.example',
    'ada@例え.jp': 'ada@xn--r8jz45g.jp',
    'ada@пример.рф': 'ada@xn--e1afmkfd.xn--p1ai',
    'a@b.de': 'a@b.de',
    'a@1.2b.de': 'a@1.2b.de',
    'a@a-b.de': 'a@a-b.de',
    [`${A64}@example.com`]: `${A64}@example.com`
  }
  for (const [typed, email] of Object.entries(spellings)) {
    t.equal(canonicalEmail(typed), email, JSON.stringify(typed))
    t.equal(isEmail(typed), true)
    t.ok(Value.Check(CanonicalEmail, email), email)
  }
})

t.test('what could be read in two ways, or is too long, is no address', async t => {
  for (const typed of ['', '@', 'ada', 'ada@', '@example.com', '.ada@example.com', 'ada.@example.com', 'a..b@example.com', 'a b@example.com', 'a,b@example.com', 'a"b@example.com', '"ada"@example.com', 'a@b@example.com', 'a(b)@example.com',
    'josé@example.com', '\u212aate@example.com', 'ada@localhost', 'ada@example', 'ada@example.c', 'ada@example.1a', 'ada@example.com.', 'ada@.example.com', 'ada@example..com', 'ada@-a.example.com', 'ada@a-.example.com', 'ada@a_b.example.com',
    'ada@[127.0.0.1]', 'ada@127.0.0.1', 'ada@exa%6dple.com', 'ada@exa\tmple.com', 'ada@ex\uff41mple\uff0ecom', 'ada@a\u3002com', 'ada@é_.com', 'ada@exam ple.com', 'x=?utf-8?q?=41?=@example.com', '=?utf-8?B?YQ==?=@example.com', '=?iso-8859-1?b??=@example.com',
    `${A64}a@example.com`, `ada@${'d'.repeat(64)}.com`]) {
    t.equal(canonicalEmail(typed), undefined, JSON.stringify(typed))
    t.equal(isEmail(typed), false)
  }
  // 254 characters are the most, wherever they are, in whichever form they come.
  const longest = `${'a'.repeat(50)}@${domainOf(203)}`
  t.equal(longest.length, 254)
  t.equal(canonicalEmail(longest), longest)
  t.equal(canonicalEmail(`a${longest}`), undefined)
  t.equal(canonicalEmail(`a@${domainOf(253)}`), undefined)
  t.equal(canonicalEmail(`${'a'.repeat(60)}@${'ü'.repeat(36)}.${'ü'.repeat(36)}.${'ü'.repeat(36)}.${'ü'.repeat(36)}.${'ü'.repeat(36)}.de`), undefined, 'its ASCII form is longer')
  t.equal(canonicalEmail(`a@${`${'e\u0301'.repeat(30)}.`.repeat(5)}de`), undefined, 'its ASCII form is shorter')
  // An encoded word is one in full only.
  t.equal(canonicalEmail('a=?b@example.com'), 'a=?b@example.com')
  t.equal(canonicalEmail('=?utf-8?x?a?=@example.com'), '=?utf-8?x?a?=@example.com')
})

t.test('the schema of a typed address has its format, and that of a kept one its characters', async t => {
  t.match(Email, { format: 'idn-email', maxLength: 254, 'x-detail': 'is not an e-mail address' })
  t.equal(Value.Check(Email, 'ada@example.com'), true)
  t.equal(Value.Check(Email, 'ada'), false)
  for (const email of ['Ada@example.com', 'ada@Example.com', 'ada', 'a@', '@b', 'a b@example.com', 'ada@bücher.example', 'x ada@example.com', 'ada@example.com\n', 'a'.repeat(250) + '@a.de']) t.equal(Value.Check(CanonicalEmail, email), false, email)
})
