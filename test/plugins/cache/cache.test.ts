import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { report, workload } from '../../promise.ts'
import { until } from '../../until.ts'
import { createTable, isPerson, openCache, openRedis, type Person } from './support.ts'

const stores: Record<string, (t: Test) => Promise<Record<string, string>>> = {
  'in the process': async () => ({ CACHE_TTL_SECONDS: '60' }),
  'in Redis': async t => ({ REDIS_URL: (await openRedis(t)).url })
}

for (const [where, open] of Object.entries(stores)) {
  t.test(`the cache ${where}`, async t => {
    const env = await open(t)

    t.test('answers a second read without the table', async t => {
      const people = await openCache(t, env)
      const table = createTable()
      table.set({ id: 'second', name: 'Ada', version: 1 })
      t.equal(people.shared, 'REDIS_URL' in env)
      t.match(await people.read('second', table.get('second'), isPerson('second')), { name: 'Ada' })
      await sleep(20) // the first reader does not wait until its value is stored
      t.match(await people.read('second', table.get('second'), isPerson('second')), { name: 'Ada' })
      t.equal(table.reads, 1)
    })

    t.test('does not remember that there is nothing', async t => {
      const people = await openCache(t, env)
      const table = createTable()
      t.equal(await people.read('missing', table.get('missing'), isPerson('missing')), undefined)
      table.set({ id: 'missing', name: 'Ada', version: 1 })
      t.match(await people.read('missing', table.get('missing'), isPerson('missing')), { name: 'Ada' })
    })

    t.test('lets 1,000 concurrent readers of a cold key share one read of the table', async t => {
      const people = await openCache(t, env)
      const keys = workload({ short: 1, full: 100 })
      let mostReads = 0
      let wrong = 0
      for (let i = 0; i < keys; i++) {
        const table = createTable(20)
        const key = `cold-${i}`
        table.set({ id: key, name: 'Ada', version: 1 })
        const answers = await Promise.all(Array.from({ length: 1000 }, () => people.read(key, table.get(key), isPerson(key))))
        wrong += answers.filter(answer => answer?.name !== 'Ada').length
        mostReads = Math.max(mostReads, table.reads)
      }
      t.equal(wrong, 0)
      report(t, { promise: 14, part: `cache ${where}`, figure: `${keys} × 1,000 readers of one cold key: ${mostReads} read of the table each`, holds: mostReads === 1 && wrong === 0 })
    })

    t.test('shows a write to the next reader, even when a slower read began before it', async t => {
      const people = await openCache(t, env)
      const table = createTable(20)
      table.set({ id: 'racing', name: 'Ada', version: 1 })
      const slow = people.read('racing', table.get('racing'), isPerson('racing'))
      await sleep(5)
      table.set({ id: 'racing', name: 'Grace', version: 2 })
      await people.write('racing', { id: 'racing', name: 'Grace', version: 2 } as Person)
      t.match(await people.read('racing', table.get('racing'), isPerson('racing')), { name: 'Grace' })
      await slow
      await sleep(20)
      t.match(await people.read('racing', table.get('racing'), isPerson('racing')), { name: 'Grace' })
    })

    t.test('keeps the newer of two writes that arrive in the wrong order', async t => {
      const people = await openCache(t, env)
      await people.write('order', { id: 'order', name: 'Grace', version: 2 } as Person)
      await people.write('order', { id: 'order', name: 'Ada', version: 1 } as Person)
      t.match(await people.read('order', createTable().get('order'), isPerson('order')), { name: 'Grace' })
    })

    t.test('remembers that a record was deleted, even after an older read', async t => {
      const people = await openCache(t, env)
      const table = createTable(20)
      table.set({ id: 'gone', name: 'Ada', version: 1 })
      const slow = people.read('gone', table.get('gone'), isPerson('gone'))
      await sleep(5)
      table.delete('gone')
      await people.remove('gone', 2)
      t.equal(await people.read('gone', table.get('gone'), isPerson('gone')), undefined)
      await slow
      await sleep(20)
      t.equal(await people.read('gone', table.get('gone'), isPerson('gone')), undefined)
    })

    t.test('hands a failure of the table to its readers and tries again for the next', async t => {
      const people = await openCache(t, env)
      const fail = async () => { await sleep(2); throw new Error('the table is gone') }
      const answers = await Promise.allSettled(Array.from({ length: 10 }, () => people.read('failing', fail, isPerson('failing'))))
      t.ok(answers.every(answer => answer.status === 'rejected'))
      const table = createTable()
      table.set({ id: 'failing', name: 'Ada', version: 1 })
      t.match(await people.read('failing', table.get('failing'), isPerson('failing')), { name: 'Ada' })
    })

    t.test('forgets after CACHE_TTL_SECONDS', async t => {
      const people = await openCache(t, { ...env, CACHE_TTL_SECONDS: '1' })
      const table = createTable()
      table.set({ id: 'old', name: 'Ada', version: 1 })
      await people.write('old', { id: 'old', name: 'Ada', version: 1 } as Person)
      await people.read('old', table.get('old'), isPerson('old'))
      t.equal(table.reads, 0)
      await until(async () => {
        await people.read('old', table.get('old'), isPerson('old'))
        return table.reads > 0
      })
      t.equal(table.reads, 1)
    })

    t.test('is off at a TTL of 0', async t => {
      const people = await openCache(t, { ...env, CACHE_TTL_SECONDS: '0' })
      const table = createTable()
      table.set({ id: 'off', name: 'Ada', version: 1 })
      await people.write('off', { id: 'off', name: 'Ada', version: 1 } as Person)
      await people.read('off', table.get('off'), isPerson('off'))
      await people.read('off', table.get('off'), isPerson('off'))
      t.equal(table.reads, 2)
    })
  })
}

t.test('with the cache off a read does not join a load that began before it', async t => {
  const people = await openCache(t, { CACHE_TTL_SECONDS: '0' })
  const table = createTable(100)
  table.set({ id: 'off', name: 'Ada', version: 1 })
  const before = people.read('off', table.get('off'), isPerson('off'))
  table.set({ id: 'off', name: 'Grace', version: 2 })
  const after = await Promise.all(Array.from({ length: 100 }, () => people.read('off', table.get('off'), isPerson('off'))))
  t.match(await before, { name: 'Ada' })
  t.equal(after.filter(person => person?.name !== 'Grace').length, 0)
  t.equal(table.reads, 2)
})
