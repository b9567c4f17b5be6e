import { spawn } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { operationsOf, readDocument } from '../../scripts/client/document.ts'
import { faultsOf } from '../contract/judge.ts'
import { startWorld, unknownId } from '../contract/world.ts'
import { report, SIZE, workload } from '../promise.ts'

const FULL_SIZE_MS = 1_800_000

/** Values that a schema may not expect, beside those that fit some field. */
const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('ada@example.com', 'Ada', 'en', 'code', 'refresh_token', 'ACTIVE', '00000000', 'image/png', '3f0e8a3c-5f7b-4a39-9d0e-0c2f4f6b8f11', '', '\0', '__proto__', 1e308, -1))
const NAMES = ['email', 'name', 'locale', 'grantType', 'challengeId', 'code', 'refreshToken', 'status', 'role', 'mail', 'ids', 'users', 'contentType', 'size', '__proto__', 'constructor']
const body = fc.oneof(fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 4 }).map(fields => JSON.stringify(fields)), fc.json({ maxDepth: 3 }), fc.string())
const part = fc.oneof(fc.constant(unknownId()), fc.constantFrom('me', 'x', '%00', '%zz', '..', '%2e%2e', '-1', '', 'constructor'), fc.webSegment({ size: 'small' }))

t.test('random requests get answers that the documents have, the same kinds over socket and events', async t => {
  const operations = (await Promise.all([readDocument('v1'), readDocument('v2')])).flatMap(operationsOf)
  const world = await startWorld(t)
  const [user, admin] = [await world.account(), await world.admin()]
  const tokens = [undefined, unknownId(), user.accessToken, admin.accessToken]
  const sends = Object.values(world.transports)
  let requests = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(...operations), fc.constantFrom(...tokens), fc.nat(2), body, part, fc.webQueryParameters({ size: 'small' }), async (operation, token, transport, body, part, query) => {
    // The two accounts stay: what ends one is fuzzed with accounts to spare (.ci/fuzz).
    const isKept = operation.method === 'DELETE' || operation.path.includes('/email')
    const path = operation.path.replace(/\{[^}]+\}/g, part)
    const hasBody = operation.method !== 'GET'
    const response = await sends[transport]!({
      method: operation.method,
      target: query === '' ? path : `${path}?${query}`,
      headers: [
        ['origin', 'https://app.example.com'], // the documents list the headers of CORS
        ...(token === undefined || (isKept && token !== tokens[1]) ? [] : [['authorization', `Bearer ${token}`] as [string, string]]),
        ...(hasBody ? [['content-type', operation.body?.contentType ?? 'application/json'] as [string, string]] : [])
      ],
      ...(hasBody ? { body } : {})
    })
    requests++
    if (response.status >= 500) throw new Error(`${operation.id} answered ${response.status} ${response.body}`)
    // A part such as `..` makes it another operation's path, or none.
    if (path !== operation.path && response.status === 404) return
    if (!/^[0-9a-f-]{36}$|^x$/.test(part) && path !== operation.path) return
    const faults = faultsOf(operation, response)
    if (faults.length > 0) throw new Error(`${operation.id}: ${faults.join(', ')}`)
  }), { numRuns: workload({ short: 300, full: 3000 }) })
  report(t, { promise: 21, part: 'random requests', figure: `${requests} requests over three transports: 0 × 5xx, 0 undocumented statuses, 0 schema violations`, holds: true })
})

// Schemathesis needs Python, and minutes.
t.test('Schemathesis finds no fault, over socket and events', { skip: SIZE !== 'full' && 'at full size; .ci/run runs bash .ci/fuzz beside the promises', timeout: FULL_SIZE_MS }, async t => {
  const child = spawn('bash', ['.ci/fuzz'], { env: { ...process.env, EXAMPLES: '80' }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill())
  let output = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    output += chunk
    t.comment(String(chunk).trimEnd())
  }
  const runs = [...output.matchAll(/^(ok|not ok) - (?:v1|v2), \w+: (\d+) generated/gm)]
  const requests = runs.reduce((sum, [, , count]) => sum + Number(count), 0)
  const failures = [...output.matchAll(/^not ok - .*$/gm)].map(([line]) => line)
  t.same(failures, [])
  report(t, {
    promise: 21,
    part: 'Schemathesis',
    figure: `${requests} requests by six kinds of caller over three transports: ${failures.length === 0 ? '0 × 5xx, 0 undocumented statuses, 0 schema violations' : failures.join('; ')}`,
    holds: runs.length === 6 && failures.length === 0 && requests >= 10_000
  })
})
