import { UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { adminOf, bearerOf, signIn } from '../../accounts.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { intercept, loseOneAnswer } from '../../faults.ts'

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

let n = 0
async function newUser () {
  const { user, accessToken } = await signIn(app, engines, `user-${++n}@example.com`, 'Ada')
  return { id: user.id, headers: { authorization: `Bearer ${accessToken}` }, etag: `"${user.id}.2"` }
}
async function newAdmin () {
  const { userId } = await adminOf(app)
  return { id: userId, headers: await bearerOf(app, userId) }
}
const call = (method: 'GET' | 'HEAD' | 'PATCH' | 'DELETE', url: string, headers: Record<string, string>, payload?: object | string) =>
  app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
const patch = (url: string, headers: Record<string, string>, payload: string, type = 'application/merge-patch+json') => call('PATCH', url, { ...headers, 'content-type': type }, payload)

t.test('a client that has this version gets a 304 without a body, and one that has another gets it', async t => {
  const { id, headers, etag } = await newUser()
  for (const url of ['/v2/users/me', `/v2/users/${id}`]) {
    for (const method of ['GET', 'HEAD'] as const) {
      for (const [tags, status] of [
        [etag, 304], [`W/${etag}`, 304], ['*', 304], [`"a", ${etag}`, 304], [`"a,b" ,, ${etag},`, 304], [`"${etag.slice(1, -1)},x", W/${etag}`, 304],
        [`"${id}.1"`, 200], ['"a", "b"', 200], [`"a${etag}`, 200], [etag.slice(1, -1), 200], [`"x,${id}.2"`, 200], ['"*"', 200], ['', 200], ['"', 200]
      ] as const) {
        const answer = await call(method, url, { ...headers, 'if-none-match': tags })
        t.equal(answer.statusCode, status, `${method} ${tags}`)
        t.match(answer.headers, { etag, 'cache-control': 'private, no-cache', vary: /\bAuthorization\b/ })
        if (status === 304) {
          t.equal(answer.body, '')
          t.notHas(answer.headers, { 'content-type': /./, 'content-length': /./ })
        }
      }
    }
  }
})

t.test('a 304 is answered before the body is made', async t => {
  const { headers, etag } = await newUser()
  let serialized = 0
  const counting = await buildTestApp(t, engines, {
    beforeReady (app) {
      app.addHook('onRequest', async (_request, reply) => {
        const { serializeInput } = reply
        reply.serializeInput = ((...input: Parameters<typeof serializeInput>) => { serialized++; return serializeInput.apply(reply, input) }) as typeof serializeInput
      })
    }
  })
  await counting.inject({ url: '/v2/users/me', headers })
  t.equal(serialized, 1)
  t.equal((await counting.inject({ url: '/v2/users/me', headers: { ...headers, 'if-none-match': etag } })).statusCode, 304)
  t.equal(serialized, 1)
})

t.test('a change is made only to the version in If-Match', async t => {
  const { id, headers, etag } = await newUser()
  for (const url of ['/v2/users/me', `/v2/users/${id}`]) {
    for (const ifMatch of [`"${id}.1"`, '"other"', `W/${etag}`, '"a", "b"', `"${crypto.randomUUID()}.2"`, '"*"']) {
      for (const method of ['PATCH', 'DELETE'] as const) {
        const answer = await call(method, url, { ...headers, 'if-match': ifMatch }, method === 'PATCH' ? { name: 'Overwritten' } : undefined)
        t.equal(answer.statusCode, 412, `${method} ${ifMatch}`)
        t.equal(answer.json().code, 'PRECONDITION_FAILED')
      }
    }
  }
  t.match(await app.users.getFresh(id), { name: 'Ada', version: 2 })
  const changed = await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: 'Ada King' })
  t.equal(changed.statusCode, 200)
  t.equal(changed.headers.etag, `"${id}.3"`, 'the answer has the new ETag')
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: 'Ada Late' })).statusCode, 412)
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: 'Ada King' })).statusCode, 412, 'also when it would change nothing')
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': `"x", "${id}.3"` }, { name: 'Ada Later' })).statusCode, 200)
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': '*' }, { name: 'Ada Any' })).statusCode, 200)
  const deleted = await call('DELETE', '/v2/users/me', { ...headers, 'if-match': `"${id}.5"` })
  t.equal(deleted.statusCode, 204)
  t.equal(deleted.headers.etag, undefined)
})

t.test('If-None-Match keeps a change from the versions in it', async t => {
  const { id, headers, etag } = await newUser()
  for (const ifNoneMatch of [etag, `W/${etag}`, '*']) t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-none-match': ifNoneMatch }, { name: 'Overwritten' })).statusCode, 412, ifNoneMatch)
  t.equal((await call('DELETE', '/v2/users/me', { ...headers, 'if-none-match': '*' })).statusCode, 412)
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag, 'if-none-match': etag }, { name: 'Overwritten' })).statusCode, 412, 'both must hold')
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag, 'if-none-match': '"other"' }, { name: 'Ada King' })).statusCode, 200)
  t.match(await app.users.getFresh(id), { name: 'Ada King', version: 3 })
})

t.test('malformed tags are a 400 that names the header, and change nothing', async t => {
  const { id, headers, etag } = await newUser()
  for (const tags of ['', 'x', etag.slice(1, -1), `${etag} ${etag}`, `w/${etag}`, '"', '"a', `${etag}, *`, '*, *', '"a b"', `${etag};x`, `"${'x'.repeat(1023)}"`]) {
    for (const header of ['if-match', 'if-none-match']) {
      for (const method of ['PATCH', 'DELETE'] as const) {
        const answer = await call(method, '/v2/users/me', { ...headers, [header]: tags }, method === 'PATCH' ? { name: 'Overwritten' } : undefined)
        t.equal(answer.statusCode, 400, `${method} ${header}: ${tags}`)
        t.equal(answer.json().errors[0].pointer, `#/${header}`)
        if (tags === 'x') t.equal(answer.json().errors[0].detail, 'must be * or a list of entity tags in double quotes')
      }
    }
  }
  t.match(await app.users.getFresh(id), { name: 'Ada', version: 2 })
})

t.test('who may not change the account learns nothing about its version', async t => {
  const [ada, eve] = [await newUser(), await newUser()]
  for (const ifMatch of [ada.etag, '"wrong"', '*']) {
    for (const method of ['PATCH', 'DELETE'] as const) {
      const body = method === 'PATCH' ? { name: 'Eve was here' } : undefined
      t.equal((await call(method, `/v2/users/${ada.id}`, { 'if-match': ifMatch }, body)).statusCode, 401)
      t.equal((await call(method, `/v2/users/${ada.id}`, { ...eve.headers, 'if-match': ifMatch }, body)).statusCode, 404)
      t.equal((await call(method, `/v2/users/${crypto.randomUUID()}`, { ...eve.headers, 'if-match': ifMatch }, body)).statusCode, 404)
    }
    t.equal((await call('PATCH', '/v2/users/me', { ...ada.headers, 'if-match': ifMatch }, { role: 'admin' })).statusCode, 403, 'what would fail anyway fails for its own reason')
    t.equal((await call('PATCH', '/v2/users/me', { ...ada.headers, 'if-match': ifMatch }, { name: '' })).statusCode, 400)
  }
})

t.test('a change between the look and the write is never overwritten: with If-Match it is a 412, without it both are kept', async t => {
  const admin = await newAdmin()
  for (const [ifMatch, status] of [[true, 412], ['*', 200], [false, 200]] as const) {
    for (const method of ['PATCH', 'DELETE'] as const) {
      const { id, headers, etag } = await newUser()
      let raced = false
      const stop = intercept(app.dynamodb, { command: 'TransactWriteItemsCommand', onTheLine: false }, async ({ send }) => {
        if (!raced) {
          raced = true
          await app.users.update({ userId: id }, id, { locale: 'de' }, 'c')
        }
        return await send()
      })
      const condition = ifMatch === false ? {} : { 'if-match': ifMatch === true ? etag : ifMatch }
      const by = n % 2 === 0 ? { url: '/v2/users/me', headers } : { url: `/v2/users/${id}`, headers: admin.headers }
      const answer = await call(method, by.url, { ...by.headers, ...condition }, method === 'PATCH' ? { name: 'Ada King' } : undefined)
      stop()
      t.ok(raced)
      t.equal(answer.statusCode, method === 'DELETE' && status === 200 ? 204 : status, `${method} ${ifMatch}`)
      const after = await app.users.getFresh(id)
      if (status === 412) t.match(after, { name: 'Ada', locale: 'de', version: 3 })
      else if (method === 'PATCH') t.match(after, { name: 'Ada King', locale: 'de', version: 4 })
      else t.equal(after, undefined)
    }
  }
})

t.test('of fifty conditional changes of one version at once one is made', async t => {
  const { id, headers, etag } = await newUser()
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: `Name ${i}` })))
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, ...Array<number>(49).fill(412)])
  const won = answers.find(({ statusCode }) => statusCode === 200)!
  t.match(await app.users.getFresh(id), { name: won.json().name, version: 3 })
})

t.test('a conditional change whose answer was lost is no 412', async t => {
  const { id, headers, etag } = await newUser()
  const fault = loseOneAnswer(app.dynamodb, 'TransactWriteItemsCommand')
  const answer = await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: 'Ada King' })
  fault.stop()
  t.ok(fault.wasLost())
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers.etag, `"${id}.3"`)
})

t.test('the version that counts is the table\'s, not the cache\'s', async t => {
  const { id, headers, etag } = await newUser()
  await call('GET', '/v2/users/me', headers)
  await app.dynamodb.send(new UpdateCommand({ TableName: app.config.USERS_TABLE, Key: { userId: id }, UpdateExpression: 'SET version = :v', ExpressionAttributeValues: { ':v': 9 } }))
  t.equal((await call('GET', '/v2/users/me', headers)).headers.etag, etag, 'what the cache still has')
  t.equal((await call('PATCH', '/v2/users/me', { ...headers, 'if-match': etag }, { name: 'Ada King' })).statusCode, 412)
})

t.test('a merge patch changes what it has, and an empty one nothing', async t => {
  const { id, headers, etag } = await newUser()
  for (const type of ['application/merge-patch+json', 'application/json', 'Application/Merge-Patch+JSON; charset=utf-8']) {
    const answer = await patch('/v2/users/me', headers, '{}', type)
    t.equal(answer.statusCode, 200, type)
    t.equal(answer.headers.etag, etag, 'no new version')
    t.match(answer.json(), { id, name: 'Ada', version: 2 })
  }
  t.equal((await patch('/v2/users/me', { ...headers, 'if-match': '"other"' }, '{}')).statusCode, 412)
  t.match((await patch('/v2/users/me', headers, '{"locale":"fr"}')).json(), { name: 'Ada', locale: 'fr', version: 3 })
  t.equal((await app.inject({ method: 'PATCH', url: `/v1/users/${id}`, headers, payload: {} })).statusCode, 400, 'version 1 stays as it was')
})

t.test('null would remove a property, and none can be removed', async t => {
  const { id, headers } = await newUser()
  for (const type of ['application/merge-patch+json', 'application/json']) {
    for (const field of ['name', 'locale', 'status', 'role']) {
      const answer = await patch('/v2/users/me', headers, `{"${field}":null}`, type)
      t.equal(answer.statusCode, 400, field)
      t.same(answer.json().errors, [{ pointer: `/${field}`, detail: 'cannot be removed' }], `${type} ${field}`)
    }
    t.same((await patch('/v2/users/me', headers, '{"nickname":null,"__proto__x":{"name":null}}', type)).json().errors.map(({ detail }: { detail: string }) => detail), Array<string>(2).fill('is not a known property'))
    t.match((await patch('/v2/users/me', headers, '{"name":5,"locale":null}', type)).json().errors, [{ pointer: '/name', detail: 'must be a string' }, { pointer: '/locale', detail: 'cannot be removed' }])
  }
  t.equal((await app.inject({ method: 'PATCH', url: `/v1/users/${id}`, headers, payload: { name: null } })).json().error, 'name must be a string', 'version 1 knows no merge patch')
  t.match(await app.users.getFresh(id), { name: 'Ada', locale: 'en', version: 2 })
})

t.test('a patch that is no object, or of another type, is refused', async t => {
  const { id, headers } = await newUser()
  for (const body of ['null', '[]', '"x"', '5', 'true', '[{"name":"Ada King"}]']) {
    const answer = await patch('/v2/users/me', headers, body)
    t.equal(answer.statusCode, 400, body)
    t.equal(answer.json().code, 'VALIDATION_FAILED')
  }
  for (const type of ['application/json-patch+json', 'text/plain', 'application/merge-patch+xml']) {
    const answer = await patch(`/v2/users/${id}`, headers, '{"name":"Ada King"}', type)
    t.equal(answer.statusCode, 415, type)
    t.equal(answer.headers['accept-patch'], 'application/merge-patch+json, application/json', 'RFC 5789 §2.2')
  }
  t.equal((await app.inject({ method: 'POST', url: '/v2/users', headers: { 'content-type': 'text/plain' }, payload: 'x' })).headers['accept-patch'], undefined)
  t.match(await app.users.getFresh(id), { name: 'Ada', version: 2 })
})
