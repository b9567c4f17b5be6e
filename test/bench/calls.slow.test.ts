import t from 'tap'
import { calls } from '../../bench/calls.ts'
import { readResults } from '../../bench/lib/results.ts'

// The benchmark itself runs here, because its figures are exact.
const [table] = await calls.run({ small: true, only: undefined, bundles: [], say: () => {}, teardown: step => { t.teardown(step) } })
const callsOf = (name: string) => {
  const row = table!.rows.find(row => row.name === name)
  if (row === undefined) throw new Error(`no row ${name}`)
  return { calls: row.values['calls'], note: row.note }
}

t.test('operations make the calls to AWS that they may', async t => {
  t.same(callsOf('register, v1'), { calls: 1, note: 'TransactWriteItems' })
  t.same(callsOf('register, v2'), { calls: 1, note: 'TransactWriteItems' })
  t.same(callsOf('request a sign-in code'), { calls: 1, note: 'TransactWriteItems' })
  t.same(callsOf('read the own profile'), { calls: 1, note: 'GetItem' })
  t.same(callsOf('read the own profile, cached'), { calls: 0, note: '' })
})

t.test('the committed results have the same figures', async t => {
  t.same(table!.rows.map(({ name, values: { calls } }) => [name, calls]), readResults()['calls']!.tables[0]!.rows.map(({ name, values: { calls } }) => [name, calls]), 'npm run bench -- calls writes them')
})
