import t, { type Test } from 'tap'
import { isKeyed, operationsOf, readDocument, type Operation } from '../../scripts/client/document.ts'
import { buildTestApp } from '../app.ts'
import { served } from '../lambda/parity.ts'
import { report, SIZE } from '../promise.ts'
import { accessOf, CALLERS, createCallers, expectedStatus } from './callers.ts'
import { invalidPlans } from './invalid.ts'
import { faultsOf } from './judge.ts'
import { readRecipes, unseenOf, type Prepare } from './recipes.ts'
import { requestOf, startWorld, transportsOf, unknownId, type Account, type Plan, type Transports, type WireRequest, type WireResponse } from './world.ts'

const documents = [await readDocument('v1'), await readDocument('v2')]
const operations = documents.flatMap(operationsOf)
const RECIPES = await readRecipes()

// Before the first test: tap ends a file that has nothing to run when it waits.
const world = await startWorld(t)

t.test('every operation has a recipe, and no recipe is left over', async t => {
  t.ok(operations.length > 20, `${operations.length} operations`)
  t.same(operations.map(({ id }) => id).filter(id => RECIPES[id] === undefined), [], 'operations without a recipe in test/modules/<module>/recipes.ts')
  t.same(Object.keys(RECIPES).filter(id => !operations.some(operation => operation.id === id)), [])
})

const callers = createCallers(world)
const driven = operations.filter(({ id }) => RECIPES[id] !== undefined)

const seen = new Map<string, Set<number>>(operations.map(({ id }) => [id, new Set()]))
let requests = 0

const successOf = ({ responses }: Operation) => Math.min(...Object.keys(responses).map(Number))
const consumes = ({ id }: Operation) => RECIPES[id]!.consumes === true

/**
 * Sends a request over each transport, made anew for each when `make` makes it so, and expects a status, an answer that
 * the document allows, and the same answer everywhere.
 */
async function expectEverywhere (t: Test, operation: Operation, title: string, status: number | undefined, make: () => WireRequest | Promise<WireRequest>, transports: Partial<Transports> = world.transports) {
  let expected: object | undefined
  let answer: WireResponse | undefined
  for (const [transport, send] of Object.entries(transports)) {
    const response = await send(await make())
    requests++
    seen.get(operation.id)!.add(response.status)
    const name = `${operation.id}: ${title}, ${transport}`
    if (status !== undefined && response.status !== status) t.equal(response.status, status, `${name} ${response.body.toString().slice(0, 300)}`)
    const faults = faultsOf(operation, response)
    if (faults.length > 0) t.same(faults, [], name)
    const comparable = served(response)
    expected ??= comparable
    answer ??= response
    t.same(comparable, expected, name)
  }
  return answer!
}

/** A valid request of a caller who may send it. */
async function validPlan (operation: Operation, prepare: Prepare = RECIPES[operation.id]!.success): Promise<Plan & { owner: Account }> {
  const owner = await callers.owner(consumes(operation))
  const access = accessOf(operation)
  const { token } = access === 'public' ? {} : await callers.of(access === 'admin' ? 'admin' : 'owner', owner, false)
  return { ...(token === undefined ? {} : { token }), ...await prepare(world, owner), owner }
}

t.test('each kind of caller gets what the document says, over each transport', async t => {
  let leaks = 0
  for (const [n, operation] of driven.entries()) {
    const { success, endedAccounts } = RECIPES[operation.id]!
    const access = accessOf(operation)
    for (const [i, caller] of CALLERS.entries()) {
      const isEnded = caller === 'suspended' || caller === 'deleted'
      const expected = isEnded && access !== 'public' && endedAccounts !== undefined ? endedAccounts.status : expectedStatus(access, caller)
      const isFresh = consumes(operation) && expected === 'success'
      // A public operation ignores the token, and a refusal comes before the operation: one transport is enough to see them, in turn.
      const names = Object.keys(world.transports) as (keyof Transports)[]
      const isOneEnough = access === 'public' ? caller !== 'anonymous' : SIZE === 'short' && expected !== 'success'
      const transports = isOneEnough ? [names[(n + i) % names.length]!] : names
      const answer = await expectEverywhere(t, operation, caller, expected === 'success' ? successOf(operation) : expected, async () => {
        const owner = await callers.owner(isFresh)
        const { token, account } = await callers.of(caller, owner, isFresh && access === 'own account')
        // A request about "me" is about its caller.
        const subject = access === 'own account' && !isEnded ? account ?? owner : owner
        return requestOf(operation, { ...(token === undefined ? {} : { token }), ...await success(world, subject) })
      }, Object.fromEntries(transports.map(name => [name, world.transports[name]])))
      if (expected !== 'success' && answer.status < 400) leaks++
    }
  }
  // All of them at any size: they are as many as the documents have.
  report(t, { promise: 27, part: 'access', figure: `${driven.length} operations × ${CALLERS.length} kinds of caller: ${leaks} leaks`, holds: leaks === 0 && driven.length === operations.length })
})

t.test('each outcome of an operation\'s own comes about', async t => {
  for (const operation of driven) {
    for (const [status, prepare] of Object.entries(RECIPES[operation.id]!.outcomes ?? {})) {
      await expectEverywhere(t, operation, `outcome ${status}`, Number(status), async () => requestOf(operation, await validPlan(operation, prepare)))
    }
  }
})

t.test('a request that breaks the schema is refused, whichever rule it breaks', async t => {
  let count = 0
  let smuggled = 0
  let accepted = 0
  for (const operation of driven) {
    const valid = await validPlan(operation)
    for (const [title, plan] of invalidPlans(operation, valid)) {
      count++
      const { status } = await expectEverywhere(t, operation, title, 400, () => requestOf(operation, plan))
      if (!title.startsWith('an unknown property')) continue
      smuggled++
      if (status < 400) accepted++
    }
  }
  t.ok(count > 100, `${count} invalid requests`)
  report(t, { promise: 27, part: 'properties of a body', figure: `${smuggled} bodies with a property of no document (role, version, status, id …): ${accepted} accepted`, holds: smuggled > 50 && accepted === 0 })
})

t.test('a condition that is not met gets a 412', async t => {
  const conditional = driven.filter(({ parameters }) => parameters.some(({ name }) => name.toLowerCase() === 'if-match'))
  for (const operation of conditional) {
    const valid = await validPlan(operation)
    await expectEverywhere(t, operation, 'If-Match of another version', 412, () => requestOf(operation, { ...valid, headers: { ...valid.headers, 'if-match': '"of-another-version"' } }))
  }
})

t.test('a request under an idempotency key is answered once, and another one under the same key is refused', async t => {
  for (const operation of driven.filter(isKeyed)) {
    const headers = { 'idempotency-key': `"${unknownId()}"` }
    const valid = await validPlan(operation)
    const request = requestOf(operation, { ...valid, headers })
    const first = await world.transports.socket(request)
    const repeated = await expectEverywhere(t, operation, 'a repeated request', successOf(operation), () => request)
    t.same(repeated.body, first.body, `${operation.id}: the same bytes again`)
    const other = await validPlan(operation)
    t.notSame(other.body, valid.body)
    await expectEverywhere(t, operation, 'another request under its key', 422, () => requestOf(operation, { ...other, ...(valid.token === undefined ? {} : { token: valid.token }), headers }))
  }
})

const KIBIBYTE = 1024

t.test('a body of another type or charset gets a 415, one that is too large a 413, one that is not JSON a 400', async t => {
  for (const operation of driven.filter(({ responses }) => '415' in responses)) {
    const valid = await validPlan(operation)
    const body = valid.body ?? { a: 1 }
    const type = operation.body?.contentType ?? 'application/json'
    const send = (title: string, status: number, plan: Plan) => expectEverywhere(t, operation, title, status, () => requestOf(operation, { ...valid, ...plan }))
    await send('a body of another type', 415, { headers: { ...valid.headers, 'content-type': 'text/plain' }, body: JSON.stringify(body) })
    await send('a body in another charset', 415, { headers: { ...valid.headers, 'content-type': `${type}; charset=iso-8859-1` }, body: JSON.stringify(body) })
    await send('a compressed body', 415, { headers: { ...valid.headers, 'content-encoding': 'gzip' }, body: JSON.stringify(body) })
    await send('a body over the limit', 413, { body: JSON.stringify(body).padEnd(64 * KIBIBYTE + 1) })
    await send('a body that is not JSON', 400, { body: '{"a":' })
  }
})

/** Matches the paths of a template. */
const patternOf = (path: string) => new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`)

t.test('a method that no operation of a path has gets a 405 with the methods that it has', async t => {
  const paths = [...new Set(operations.map(({ path }) => path))]
  for (const path of paths) {
    const url = path.replace(/\{[^}]+\}/g, '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11')
    const here = operations.filter(operation => operation.path === path).map(({ method }) => method)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      // `/users/batch` is also an id of `/users/{id}`.
      if (operations.some(operation => operation.method === method && patternOf(operation.path).test(url))) continue
      let expected: object | undefined
      for (const [transport, send] of Object.entries(world.transports)) {
        const response = await send({ method, target: url })
        const name = `${method} ${path}, ${transport}`
        t.equal(response.status, 405, name)
        for (const known of here) t.match(response.headers['allow'], new RegExp(`\\b${known}\\b`), `${name}: ${known} is allowed`)
        t.notMatch(response.headers['allow'], new RegExp(`\\b${method}\\b`), name)
        expected ??= served(response)
        t.same(served(response), expected, name)
      }
    }
  }
})

t.test('an operation is limited when its document says so', async t => {
  const app = await buildTestApp(t, world.engines, { env: { RATE_LIMIT_MAX: '1' } })
  const limited = await transportsOf(app)
  for (const operation of driven) {
    const request = requestOf(operation, await validPlan(operation))
    let status = 0
    for (let i = 0; i < 5 && status !== 429; i++) status = (await limited.socket(request)).status
    t.equal(status === 429, '429' in operation.responses, `${operation.id} answers ${status} after five requests`)
    if (status === 429) await expectEverywhere(t, operation, 'over the limit', 429, () => request, limited)
  }
})

t.test('an operation that needs the database says so when the database is away', async t => {
  const app = await buildTestApp(t, world.engines, { env: { AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:9' } })
  const broken = await transportsOf(app)
  const left = [...driven]
  // Each waits for the retries of the SDK, so several at a time.
  await Promise.all(Array.from({ length: 5 }, async () => {
    for (let operation = left.shift(); operation !== undefined; operation = left.shift()) await withoutDatabase(operation)
  }))

  async function withoutDatabase (operation: Operation) {
    const request = requestOf(operation, await validPlan(operation))
    const documented = '503' in operation.responses && unseenOf(operation, RECIPES[operation.id]!)[503] === undefined
    await expectEverywhere(t, operation, 'without the database', documented ? 503 : successOf(operation), () => request, broken)
  }
})

t.test('every documented status was seen, or there is a reason why not', async t => {
  for (const operation of driven) {
    const { id, responses } = operation
    const { endedAccounts } = RECIPES[id]!
    const unseen = unseenOf(operation, RECIPES[id]!)
    for (const status of Object.keys(responses).map(Number)) {
      const wasSeen = seen.get(id)!.has(status)
      if (unseen[status] === undefined) t.ok(wasSeen, `${id} answers ${status}`)
      else t.notOk(wasSeen, `${id} answers ${status}, so its reason is not needed: ${unseen[status]}`)
    }
    for (const status of Object.keys(unseen)) t.ok(status in responses, `${id} documents ${status}, which has a reason`)
    if (endedAccounts !== undefined) t.ok(endedAccounts.reason)
  }
  t.comment(`${operations.length} operations, ${CALLERS.length} kinds of caller, ${requests} requests`)
})

t.test('a document that is wrong about an operation is noticed', async t => {
  const operation = operations.find(({ id }) => id === 'users.getMe')!
  const response = await world.transports.socket(requestOf(operation, await validPlan(operation)))
  t.same(faultsOf(operation, response), [])
  const without = (status: string) => ({ ...operation, responses: Object.fromEntries(Object.entries(operation.responses).filter(([key]) => key !== status)) })
  t.match(faultsOf(without('200'), response), [/^200 is not documented/])
  const changed = (body: object) => ({ ...response, body: Buffer.from(JSON.stringify({ ...JSON.parse(response.body.toString()) as object, ...body })) })
  t.same(faultsOf(operation, changed({ secret: 1 })), [' must NOT have additional properties'])
  t.same(faultsOf(operation, changed({ version: 'one' })), ['/version must be integer'])
  t.same(faultsOf(operation, { ...response, headers: { ...response.headers, etag: undefined } as never }), ['etag is missing'])
  t.same(faultsOf(operation, { ...response, headers: { ...response.headers, location: '/x' } }), ['location is not documented'])
  t.equal(accessOf({ ...operation, raw: { ...operation.raw, 'x-roles': ['admin'] } }), 'admin')
})
