import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { report, SIZE, workload } from '../promise.ts'

const ADDRESSES = workload({ short: 5, full: 50 })
const TIMES = workload({ short: 40, full: 200 })

if (SIZE !== 'short') t.setTimeout(300_000)

t.test('many registrations of each of several addresses at once make one account each, and no fault', async (t) => {
  const engines = await startEngines(t)
  const apps = [await buildTestApp(t, engines), await buildTestApp(t, engines)]
  const statuses: Record<number, number> = {}
  // One address after the other: all of one at once is the race, and a queue of thousands is none.
  for (let address = 0; address < ADDRESSES; address++) {
    await Promise.all(Array.from({ length: TIMES }, async (_, i) => {
      const { statusCode } = await apps[i % 2]!.inject({ method: 'POST', url: '/v1/users', payload: { email: `race-${address}@example.com`, name: `Racer ${i}` } })
      statuses[statusCode] = (statuses[statusCode] ?? 0) + 1
    }))
  }
  const faults = Object.entries(statuses).reduce((sum, [status, times]) => Number(status) >= 500 ? sum + times : sum, 0)
  report(t, { promise: 3, figure: `${ADDRESSES} addresses × ${TIMES} parallel registrations: ${statuses[201] ?? 0} accounts, ${statuses[409] ?? 0} × 409, ${faults} × 5xx`, holds: statuses[201] === ADDRESSES && faults === 0 })
  t.same(statuses, { 201: ADDRESSES, 409: ADDRESSES * (TIMES - 1) })
  const { Items = [] } = await apps[0]!.dynamodb.send(new ScanCommand({ TableName: apps[0]!.config.USERS_TABLE, ConsistentRead: true }))
  for (const kind of ['user', 'claim', 'outbox']) t.equal(Items.filter(item => item['kind'] === kind).length, ADDRESSES, kind)
})
