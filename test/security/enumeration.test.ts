import t from 'tap'
import { buildTestApp, pump, startEngines, type Test } from '../helper.ts'
import { recordCalls } from '../faults.ts'

const KNOWN = Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(4, '0')}@example.com`)

async function start (t: Test) {
  const engines = await startEngines(t)
  const app = await buildTestApp(t, engines, { env: { LOG_LEVEL: 'silent' } })
  // As many as the addresses' share of codes allows to ask for.
  for (const email of KNOWN) await app.users.register({ email, name: 'Known' }, 'c')
  await pump(app, engines)
  const flows = {
    registration: (email: string, remoteAddress = '192.0.2.1') => app.inject({ method: 'POST', url: '/v2/users', remoteAddress, payload: { email, name: 'Ada' } }),
    'sign-in': (email: string, remoteAddress = '192.0.2.1') => app.inject({ method: 'POST', url: '/v2/auth/challenges', remoteAddress, payload: { email } })
  }
  return { engines, app, flows }
}

const PAIRS = 300

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const what of ['registration', 'sign-in'] as const) {
  t.test(`a ${what} does not tell by its answer, its work or its time whether the address has an account`, async (t) => {
    const { app, flows } = await start(t)
    const times: Record<string, number[]> = { known: [], unknown: [] }
    const shapes = new Set<string>()
    const work = new Set<string>()
    for (let i = 0; i < PAIRS; i++) {
      for (const kind of Math.random() < 0.5 ? ['known', 'unknown'] : ['unknown', 'known']) {
        // As long as the other, so that only the account differs.
        const email = kind === 'known' ? KNOWN[i % KNOWN.length]! : `n${String(i).padStart(4, '0')}@example.com`
        const calls = recordCalls(app)
        const start = performance.now()
        const answer = await flows[what](email, `198.51.100.${Math.floor(i / KNOWN.length)}`)
        times[kind]!.push(performance.now() - start)
        work.add(calls.stop().join())
        shapes.add(JSON.stringify([answer.statusCode, Object.keys(answer.headers), answer.body.replaceAll(/[0-9a-f]/g, '0').replaceAll(/\d/g, '0')]))
      }
    }
    const difference = Math.abs(median(times['known']!) - median(times['unknown']!))
    t.comment(`${what}: ${PAIRS} pairs, ${shapes.size} kind of answer, medians ${median(times['known']!).toFixed(2)} and ${median(times['unknown']!).toFixed(2)} ms, difference ${difference.toFixed(3)} ms`)
    t.equal(shapes.size, 1, [...shapes].join('\n'))
    t.same([...work], ['TransactWriteItemsCommand'])
    // Half a millisecond of the two that an answer takes; on a busy machine both grow.
    t.ok(difference / median(times['known']!) < 0.25, `${difference} ms`)
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

t.test('many requests for one victim, each from another address, are fifteen mails in an hour, and from one address five', async (t) => {
  const { engines, app, flows } = await start(t)
  const REQUESTS = 100
  const mailsTo = (email: string) => engines.mails.filter(mail => JSON.stringify(mail.to).includes(email)).length
  const [victim, neighbour] = [KNOWN[0]!, KNOWN[1]!]
  await Promise.all(Array.from({ length: REQUESTS }, (_, i) => flows['sign-in'](victim, `198.51.100.${i}`)))
  await Promise.all(Array.from({ length: REQUESTS }, () => flows['sign-in'](neighbour, '203.0.113.1')))
  await pump(app, engines)
  t.comment(`${REQUESTS} requests, ${mailsTo(victim)} and ${mailsTo(neighbour)} mails, the one of the registration included`)
  t.equal(mailsTo(victim), 15)
  t.equal(mailsTo(neighbour), 6, 'the welcome was asked for by another')
})
