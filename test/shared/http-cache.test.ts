import type { FastifyReply } from 'fastify'
import t from 'tap'
import { addVary, ChangeHeaders, matchesEtag, preconditionIn } from '../../src/shared/http-cache.ts'

const ETAG = '"id.3"'

t.test('If-None-Match compares weakly, with each tag of its list', async t => {
  for (const header of ['*', ' * ', '"id.3"', 'W/"id.3"', '"a", "id.3"', '"a",W/"id.3" , "b"', ', "id.3"']) t.equal(matchesEtag(header, ETAG), true, header)
  for (const header of [undefined, '', '"id.2"', '"id.33"', 'id.3', '"W/id.3"', '"a", "b"', '"*"', 'x*', '*x']) t.equal(matchesEtag(header, ETAG), false, String(header))
  t.equal(matchesEtag('"id.3"', 'W/"id.3"'), true)
  t.equal(matchesEtag('"xW/id.3"', '"xid.3"'), false, 'only a prefix is the mark of a weak tag')
})

t.test('If-Match compares strongly, and both conditions must hold', async t => {
  t.equal(preconditionIn({}), undefined)
  const holds = (ifMatch: string | undefined, ifNoneMatch?: string) => preconditionIn({ ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }), ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }) })!(ETAG)
  for (const header of ['*', ' *', ETAG, `"a", ${ETAG}`, `"a",${ETAG}`]) t.equal(holds(header), true, header)
  for (const header of ['', `W/${ETAG}`, '"id.2"', 'id.3', `"a", W/${ETAG}`]) t.equal(holds(header), false, header)
  t.equal(holds(undefined, ETAG), false)
  t.equal(holds(undefined, '"id.2"'), true)
  t.equal(holds(ETAG, '"id.2"'), true)
  t.equal(holds(ETAG, ETAG), false)
  t.equal(holds('"id.2"', '"id.4"'), false)
})

t.test('the pattern of both headers is a list of entity tags, or a star', async t => {
  for (const { pattern, maxLength } of [ChangeHeaders.properties['if-match'], ChangeHeaders.properties['if-none-match']]) {
    const format = new RegExp(pattern!)
    t.equal(maxLength, 1024)
    for (const good of ['*', '"a"', 'W/"a"', '""', '"a", W/"b"', '"a","b"', '"a" ,, "b"', ', "a"', '"a" ,', '"\u00e9!#~"']) t.match(good, format, good)
    for (const bad of ['', 'a', '"a', 'a"', '"a" "b"', '"a b"', 'w/"a"', '*, "a"', '**', '"a"x', 'x"a"', ' ', '"\u0100"', '"\u007f"', '"a";"b"']) t.notMatch(bad, format, bad)
  }
})

t.test('Vary gains a field once, beside those that it has', async t => {
  const vary = (held: string | string[] | undefined, field: string) => {
    let value: unknown = held
    addVary({ getHeader: () => held, header: (name: string, set: unknown) => { if (name === 'vary') value = set } } as unknown as FastifyReply, field)
    return value
  }
  t.equal(vary(undefined, 'Authorization'), 'Authorization')
  t.equal(vary('Origin', 'Authorization'), 'Origin, Authorization')
  t.equal(vary(['Origin', 'Accept'], 'Authorization'), 'Origin, Accept, Authorization')
  t.equal(vary('Origin ,authorization', 'Authorization'), 'Origin ,authorization')
  t.equal(vary('Origin, authorization', 'Authorization'), 'Origin, authorization')
  t.equal(vary('AUTHORIZATION', 'Authorization'), 'AUTHORIZATION')
})
