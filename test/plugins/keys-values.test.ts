import t from 'tap'
import { codeFor, deriveKeys, isCodeFor, openWith, pseudonymFor, sealWith } from '../../src/plugins/keys/derive.ts'
import keysPlugin from '../../src/plugins/keys/index.ts'
import { checkDependencies } from './dependencies.ts'

checkDependencies('keys', keysPlugin, ['config', 'aws'])

const keys = deriveKeys('a root secret that never was used anywhere')
const others = deriveKeys('another root secret that was never used')

t.test('what is made of a root secret stays what it is: codes, pseudonyms and cursors outlive a deployment', async t => {
  t.equal(keys.privateKey, '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICpb89GSKUtFsn83fHnRhTmoUb27Pcg/YkO5Oca5nCCC\n-----END PRIVATE KEY-----\n')
  t.equal(keys.publicKey, '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJI0n25pHQAnmex8xU9DJFBnwH8KiwgkZCIN3sVMWJdA=\n-----END PUBLIC KEY-----\n')
  t.equal(codeFor(keys.mail.code, '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11'), '17141391')
  t.equal(codeFor(keys.mail.code, 'challenge 74'), '00045228', 'with the zeros in front')
  t.equal(pseudonymFor(keys.pseudonym, 'ada@example.com'), 'iYyPJ2cGLf6iy51D15JiSa')
  t.equal(pseudonymFor(keys.mail.recipient, 'ada@example.com'), 'KlkWDTAMGxbySRIOYTQWZP')
  t.equal(sealWith(keys.seal, 'users é'), 'dXNlcnMgw6k.2Fec0glnxROSvfSm_TmZ4Y0lClRUydoaDenK2-EtClk')
})

t.test('a code and a sealed text are good under any of the keys, whichever comes first, and under none where there is none', async t => {
  const code = codeFor(keys.mail.code, 'challenge 74')
  const sealed = sealWith(keys.seal, 'text')
  for (const [name, some, isGood] of [['its own', [keys], true], ['its own first', [keys, others], true], ['its own last', [others, keys], true], ['another', [others], false], ['none', [], false]] as const) {
    t.equal(isCodeFor(some.map(({ mail }) => mail.code), 'challenge 74', code), isGood, `code: ${name}`)
    t.equal(openWith(some.map(({ seal }) => seal), sealed), isGood ? 'text' : undefined, `text: ${name}`)
  }
})

t.test('a sealed text is opened only in the form in which it was sealed', async t => {
  for (const text of ['a', 'ab', 'abc']) {
    const [encoded, signature] = sealWith(keys.seal, text).split('.') as [string, string]
    t.equal(openWith([keys.seal], `${encoded}.${signature}`), text)
    const next = (part: string) => part.slice(0, -1) + String.fromCharCode(part.charCodeAt(part.length - 1) + 1)
    const forms = [`${encoded}.${next(signature)}`, `${encoded}=.${signature}`, `${encoded}.${signature}=`, ` ${encoded}.${signature}`, `${encoded}.${signature}x`, `x.${encoded}.${signature}`, `${encoded}.${signature}.x`, `.${signature}`, `${encoded}.`]
    // The last character of these has bits that are not used.
    if (text.length < 3) forms.push(`${next(encoded)}.${signature}`)
    for (const form of forms) t.equal(openWith([keys.seal], form), undefined, form)
  }
  t.equal(openWith([keys.seal], sealWith(keys.seal, '')), undefined, 'nothing is no text')
})
