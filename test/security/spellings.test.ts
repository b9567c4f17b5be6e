import t from 'tap'
import { canonicalEmail } from '../../src/shared/email-address.ts'
import { codeIn, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { report } from '../promise.ts'
import { pump } from '../pump.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

/** The owner's address, as it is stored. */
const OWNER = 'kate.isi@example.com'

/** Addresses that a reader, a mail server or a Unicode library might mistake for the owner's. Not among them: blanks around it, ASCII case, and what IDNA maps in a domain. */
const SPELLINGS = [
  // characters that fold to others
  '\u212aate.isi@example.com', 'kate.\u0131si@example.com', 'kate.is\u0131@example.com', 'KATE.\u0130SI@example.com', 'kate.i\u017fi@example.com', 'kate.is\u0456@example.com', 'k\u0430te.isi@example.com', 'kat\u0435.isi@example.com',
  'ｋate.isi@example.com', 'ｋａｔｅ.isi@example.com', 'kate．isi@example.com', 'kate。isi@example.com', 'kate.isi＠example.com', 'k\u0301ate.isi@example.com', 'ka\u00adte.isi@example.com', 'ka\u200bte.isi@example.com', 'ka\u200dte.isi@example.com', '\u202ekate.isi@example.com', 'kate.isi\ufe0f@example.com', '\ufeffkate.isi\u2060@example.com',
  // domains
  'kate.isi@ex\u0430mple.com', 'kate.isi@example．com', 'kate.isi@example。com', 'kate.isi@ex\u00adample.com', 'kate.isi@exam\u200bple.com', 'kate.isi@example.com.', 'kate.isi@.example.com', 'kate.isi@example..com', 'kate.isi@example.c\u043em', 'kate.isi@ex%61mple.com', 'kate.isi@[192.0.2.1]', 'kate.isi@example.com:25', 'kate.isi@example.com/', 'kate.isi@xn--exmple-4nf.com', 'kate.isi@sub.example.com', 'kate.isi@example.\u212aom',
  // quotes, comments, routes
  '"kate.isi"@example.com', '"kate\\.isi"@example.com', '"kate.isi@example.com"@evil.example', 'kate.isi(x)@example.com', '(x)kate.isi@example.com', '<kate.isi@example.com>', 'Kate <kate.isi@example.com>', '@evil.example:kate.isi@example.com', 'kate.isi%example.com@evil.example', 'evil.example!kate.isi@example.com', 'kate.isi@example.com@evil.example', 'kate..isi@example.com', '.kate.isi@example.com', 'kate.isi.@example.com',
  // lists and line breaks
  'kate.isi@example.com,eve@evil.example', 'eve@evil.example,kate.isi@example.com', 'kate.isi@example.com;eve@evil.example', 'kate.isi@example.com eve@evil.example', 'kate.isi@example.com\r\nBcc: eve@evil.example', 'kate.isi@example.com\nCc: eve@evil.example', 'kate.isi@example.com\0', 'kate.isi\t@example.com', 'kate.isi@example.com%0d%0aBcc:eve@evil.example',
  // encoded words, and mailboxes that are others to us
  '=?utf-8?Q?kate=2Eisi?=@example.com', '=?utf-8?B?a2F0ZS5pc2k=?=@example.com', 'mailto:kate.isi@example.com', 'kate.isi+tag@example.com', 'kateisi@example.com', 'kate_isi@example.com'
]

t.test('no spelling reaches another account, and a mail goes to the stored address only', async t => {
  const { user } = await signIn(app, engines, OWNER, 'The Owner')
  const owned = await app.users.getFresh(user.id)
  const before = engines.mails.length
  const collisions: string[] = []
  const misdirected: string[] = []
  let refused = 0
  for (const [i, email] of SPELLINGS.entries()) {
    const from = `198.51.100.${i}`
    const registration = await app.inject({ method: 'POST', url: '/v2/users', remoteAddress: from, payload: { email, name: 'A Stranger' } })
    const signInRequest = await app.inject({ method: 'POST', url: '/v2/auth/challenges', remoteAddress: from, payload: { email } })
    const sent = engines.mails.length
    await pump(app, engines)
    const recipients = engines.mails.slice(sent).flatMap(({ to }) => [to ?? []].flat().flatMap(({ value }) => value.map(({ address = '' }) => canonicalEmail(address) ?? address))) // the parser shows domains in Unicode
    if (registration.statusCode === 400 && signInRequest.statusCode === 400) {
      refused++
      if (recipients.length > 0) misdirected.push(`${JSON.stringify(email)} is refused, and mailed to ${recipients.join()}`)
      continue
    }
    // Accepted: it is an address of its own.
    if (recipients.includes(OWNER)) collisions.push(`${JSON.stringify(email)} is mailed to the owner`)
    const stored = recipients[0] ?? ''
    if (new Set(recipients).size !== 1) misdirected.push(`${JSON.stringify(email)} is mailed to ${recipients.join()}`)
    const { challengeId } = registration.json<{ challengeId: string }>()
    const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: app.keys.codeOf(challengeId) } })
    if (exchange.statusCode === 200 && exchange.json().user.id === user.id) collisions.push(`${JSON.stringify(email)} signs in as the owner`)
    if (exchange.statusCode === 200 && exchange.json().user.email !== stored) misdirected.push(`${JSON.stringify(email)} is ${exchange.json().user.email}, mailed to ${stored}`)
  }
  t.same(collisions, [])
  t.same(misdirected, [])
  t.same(await app.users.getFresh(user.id), owned, 'the owner\'s account is as before')
  t.equal(engines.mailsTo(OWNER).length, 1)
  t.ok(refused >= 50 && refused < SPELLINGS.length, `${refused} refused`)
  t.ok(engines.mails.length > before)
  for (const email of [' kate.isi@example.com\t', 'Kate.ISI@Example.COM', 'kate.isi@ｅxample.com']) {
    const answer = await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email } })
    await pump(app, engines)
    const { challengeId } = answer.json<{ challengeId: string }>()
    const exchange = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: codeIn(engines, OWNER) } })
    t.equal(exchange.json().user.id, user.id, 'case, blanks around it, and letters of a domain that IDNA maps are the same address')
  }
  report(t, { promise: 32, figure: `${SPELLINGS.length} spellings: ${refused} refused, ${SPELLINGS.length - refused} accounts of their own, ${collisions.length} collisions, ${misdirected.length} mails to another address`, holds: SPELLINGS.length >= 60 && collisions.length === 0 && misdirected.length === 0 })
})
