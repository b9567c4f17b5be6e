import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines, type Test } from '../engines.ts'
import { recordCalls } from '../faults.ts'
import { report, SIZE, workload } from '../promise.ts'
import { pump } from '../pump.ts'

const PAIRS = workload({ short: 200, full: 5000 })

/** An address gets fifteen codes an hour: so many that each is asked for twelve times at most. */
const KNOWN = Array.from({ length: Math.max(60, Math.ceil(PAIRS / 12)) }, (_, i) => `k${String(i).padStart(4, '0')}@example.com`)

async function start (t: Test) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'silent' } })
  for (const email of KNOWN) await app.users.register({ email, name: 'Known' }, 'c')
  await pump(app, engines)
  const flows = {
    registration: (email: string, remoteAddress = '192.0.2.1') => app.inject({ method: 'POST', url: '/v2/users', remoteAddress, payload: { email, name: 'Ada' } }),
    'sign-in': (email: string, remoteAddress = '192.0.2.1') => app.inject({ method: 'POST', url: '/v2/auth/challenges', remoteAddress, payload: { email } })
  }
  return { engines, app, flows }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const what of ['registration', 'sign-in'] as const) {
  t.test(`a ${what} does not tell by its answer, its work or its time whether the address has an account`, async (t) => {
    const { app, flows } = await start(t)
    const times = { known: [] as number[], unknown: [] as number[] }
    const shapes = new Set<string>()
    const work = new Set<string>()
    for (let i = 0; i < PAIRS; i++) {
      for (const kind of Math.random() < 0.5 ? ['known', 'unknown'] as const : ['unknown', 'known'] as const) {
        // As long as the other, so that only the account differs.
        const email = kind === 'known' ? KNOWN[i % KNOWN.length]! : `n${String(i).padStart(4, '0')}@example.com`
        const calls = recordCalls(app)
        const start = performance.now()
        const answer = await flows[what](email, `198.51.100.${Math.floor(i / KNOWN.length)}`)
        times[kind].push(performance.now() - start)
        work.add(calls.stop().join())
        shapes.add(JSON.stringify([answer.statusCode, Object.keys(answer.headers), answer.body.replaceAll(/[0-9a-f]/g, '0').replaceAll(/\d/g, '0')]))
      }
    }
    const [known, unknown] = [median(times.known), median(times.unknown)]
    const difference = Math.abs(known - unknown)
    t.equal(shapes.size, 1, [...shapes].join('\n'))
    t.same([...work], ['TransactWriteItemsCommand'])
    // Few pairs on a busy machine: half a millisecond of the two that an answer takes.
    const isClose = SIZE === 'short' ? difference / known < 0.25 : difference < 0.5
    report(t, {
      promise: 29,
      part: what,
      figure: `${PAIRS} pairs: ${shapes.size} kind of answer, medians ${known.toFixed(2)} ms known and ${unknown.toFixed(2)} ms unknown, difference ${difference.toFixed(3)} ms`,
      holds: isClose && shapes.size === 1 && work.size === 1
    })
  })
}

t.test('a token request does the same work for a challenge of an unknown address', async (t) => {
  const { engines, app, flows } = await start(t)
  const work = []
  for (const email of [KNOWN[0]!, 'n0000@example.com']) {
    const { challengeId } = (await flows['sign-in'](email)).json()
    await pump(app, engines)
    const calls = recordCalls(app)
    const answer = await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'code', challengeId, code: '00000000' } })
    work.push([answer.statusCode, answer.json().code, calls.stop()])
  }
  t.same(work[0], work[1])
  t.equal(work[0]![0], 401)
})

t.test('many requests for one victim, each from another network, are fifteen mails in an hour, and from one network five', async (t) => {
  const { engines, app, flows } = await start(t)
  const REQUESTS = workload({ short: 60, full: 1000 })
  const before = engines.mails.length
  const mailsTo = (email: string) => engines.mailsTo(email).length
  const [victim, v4, v6, site] = KNOWN as [string, string, string, string]
  const kinds: [email: string, network: (i: number) => string, mails: number][] = [
    [victim, i => `198.51.${i >> 8}.${i & 255}`, 15],
    // The welcome of the registration came from another network.
    [v4, () => '203.0.113.1', 6],
    [v6, i => `2001:db8:1:2:${i.toString(16)}::1`, 6],
    // A site of many networks leaves the owner's five.
    [site, i => `2001:db8:5:${i.toString(16)}::1`, 11]
  ]
  const statuses = new Set<number>()
  for (const [email, network] of kinds) {
    for (let i = 0; i < REQUESTS; i += 50) {
      const answers = await Promise.all(Array.from({ length: Math.min(50, REQUESTS - i) }, (_, n) => flows['sign-in'](email, network(i + n))))
      for (const { statusCode } of answers) statuses.add(statusCode)
    }
  }
  await pump(app, engines)
  const seen = kinds.map(([email]) => mailsTo(email))
  t.same(seen, kinds.map(([, , mails]) => mails))
  t.same([...statuses].sort(), [202, 429])
  const owner = await flows['sign-in'](site, '192.0.2.77')
  t.equal(owner.statusCode, 202, 'the owner\'s share is left')
  t.ok(before > 0)
  report(t, {
    promise: 30,
    part: 'an hour',
    figure: `${REQUESTS} requests for each of four victims: ${seen[0]} mails from as many IPv4 networks, ${seen[1]! - 1} from one, ${seen[2]! - 1} from one IPv6 /64, ${seen[3]! - 1} from the networks of a /48`,
    holds: seen[0]! <= 15 && seen[1]! <= 6 && seen[2]! <= 6 && seen[3]! <= 11 && owner.statusCode === 202
  })
})
