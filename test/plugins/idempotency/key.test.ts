import t from 'tap'
import { createSeal, describeRequest, parseKey } from '../../../src/plugins/idempotency/key.ts'

t.test('a key is the same with its quotes and without, and what is escaped in them is the character', async t => {
  for (const [header, key] of [
    ['abc', 'abc'], ['"abc"', 'abc'], ['"a b"', 'a b'], ['"a\\"b\\\\c\\\\"', 'a"b\\c\\'], ['"a\\\\\\"b"', 'a\\"b'], ['"', undefined], ['""', undefined], ['"a', undefined], ['a"', undefined],
    ['x'.repeat(255), 'x'.repeat(255)], ['x'.repeat(256), undefined], [`"${'x'.repeat(253)}"`, 'x'.repeat(253)], [`"${'x'.repeat(254)}"`, undefined], ['𝒜', undefined]
  ] as const) t.equal(parseKey(header), key, header)
})

t.test('two requests are the same by method, address and body, whatever the order of properties', async t => {
  const request = { method: 'POST', url: '/things?x=1', body: { b: [{ d: 1, c: 2 }, 'x'], a: null } }
  t.equal(describeRequest({ ...request, body: { a: null, b: [{ c: 2, d: 1 }, 'x'] } }), describeRequest(request))
  t.not(describeRequest({ ...request, body: { a: null, b: ['x', { c: 2, d: 1 }] } }), describeRequest(request), 'the order of a list is a difference')
  t.equal(describeRequest({ ...request, body: { c: 3, a: 1, b: 2 } }), 'POST /things?x=1 {"a":1,"b":2,"c":3}')
  t.equal(describeRequest({ ...request, body: undefined }), 'POST /things?x=1 ')
})

const TEXT = '{"status":201} ✓'

t.test('an answer is read by who has its key, also after a deployment, and by nobody else', async t => {
  const sealed = createSeal('user ada', 'key 1').close(TEXT)
  for (const kept of [sealed, Buffer.from('Ev+0ug8EpiQsnaVlStnnPPaFfwpdg7/eT6RqmTx+9tbPVCS0s5nliA5PepcR/w==', 'base64')]) {
    t.equal(createSeal('user ada', 'key 1').open(kept), TEXT)
    for (const [caller, key] of [['user ada', 'key 2'], ['user bob', 'key 1'], ['user ada key', '1 ']] as const) t.throws(() => createSeal(caller, key).open(kept), `${caller}, ${key}`)
  }
  t.notOk(createSeal('user ada', 'key 1').close(TEXT).equals(sealed), 'two that are sealed alike look different')
})

t.test('an answer that was changed anywhere, or cut off, is not read', async t => {
  const seal = createSeal('user ada', 'key 1')
  const sealed = seal.close(TEXT)
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed)
    changed[i]! ^= 1
    t.throws(() => seal.open(changed), String(i))
    t.throws(() => seal.open(sealed.subarray(0, i)), `the first ${i}`)
  }
  const empty = seal.close('')
  t.equal(seal.open(empty), '')
  for (const length of [4, 8, 12, 15]) t.throws(() => seal.open(empty.subarray(0, 12 + length)), `a tag of ${length} bytes`)
})
