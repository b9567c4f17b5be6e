import fc from 'fast-check'
import t from 'tap'
import { codeFor, deriveKeys, isCodeFor, openWith, pseudonymFor, sealWith } from '../../src/plugins/keys/derive.ts'
import { workload } from '../promise.ts'

// A failure prints its seed and the smallest example that fast-check found.
const numRuns = workload({ short: 200, full: 10_000 })

const keys = deriveKeys('a'.repeat(64))
const others = deriveKeys('b'.repeat(64))

t.test('a cursor is opened to the text that was sealed, before and after a rotation, and by no other key', async () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), text => {
    const sealed = sealWith(keys.seal, text)
    return /^[\w.-]+$/.test(sealed) && openWith([keys.seal], sealed) === text && openWith([others.seal, keys.seal], sealed) === text && openWith([others.seal], sealed) === undefined
  }), { numRuns })
})

t.test('a cursor with any change is opened to nothing', async () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.nat(), fc.constantFrom(...'AZaz09-_.=+/ \n'), fc.boolean(), (text, at, c, isInserted) => {
    const sealed = sealWith(keys.seal, text)
    const i = at % sealed.length
    const forged = `${sealed.slice(0, i)}${c}${sealed.slice(isInserted ? i : i + 1)}`
    return forged === sealed || openWith([keys.seal], forged) === undefined
  }), { numRuns })
})

t.test('a cursor for one text with the signature of another is opened to nothing', async () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) =>
    a === b || openWith([keys.seal], `${sealWith(keys.seal, a).split('.')[0]}.${sealWith(keys.seal, b).split('.')[1]}`) === undefined), { numRuns })
})

t.test('a code has eight digits and is right for its challenge only, however it is written', async () => {
  const code = fc.oneof(fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 8, maxLength: 8 }), fc.string({ maxLength: 12 }))
  fc.assert(fc.property(fc.uuid(), code, fc.constantFrom('', ' ', '0', '\n', '+', '\u0660'), (id, guess, around) => {
    const right = codeFor(keys.mail.code, id)
    const isRight = (text: string) => isCodeFor([others.mail.code, keys.mail.code], id, text)
    return /^\d{8}$/.test(right) && isRight(right) &&
      isRight(guess) === (guess === right || guess === codeFor(others.mail.code, id)) &&
      (around === '' || (!isRight(right + around) && !isRight(around + right)))
  }), { numRuns })
})

t.test('codes of a thousand challenges share no more than chance allows', async t => {
  const ids = fc.sample(fc.uuid(), 1000)
  const codes = new Set(ids.map(id => codeFor(keys.mail.code, id)))
  // One pair in 200 such samples; three never happen.
  t.ok(codes.size >= new Set(ids).size - 2, `${codes.size} codes`)
})

t.test('different values have different pseudonyms, and one value has one for each key', async () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) =>
    (pseudonymFor(keys.pseudonym, a) === pseudonymFor(keys.pseudonym, b)) === (Buffer.from(a).equals(Buffer.from(b))) &&
    pseudonymFor(keys.pseudonym, a) !== pseudonymFor(others.pseudonym, a) && /^[\w-]{22}$/.test(pseudonymFor(keys.pseudonym, a))), { numRuns })
})
