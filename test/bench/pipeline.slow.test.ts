import { readFileSync } from 'node:fs'
import t from 'tap'
import { itemSize, writeUnits } from '../../bench/lib/item-size.ts'
import { PRICES } from '../../bench/lib/prices.ts'
import { readResults } from '../../bench/lib/results.ts'
import { flowTables, measureFlows } from '../../bench/pipeline/flows.ts'

const COST = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8')

// What the flows cost is exact, so it is measured here. The batch is left out: its hundred registrations take seconds.
const tables = flowTables(await measureFlows({ say: () => {}, teardown: step => { t.teardown(step) } }, { hasBatch: false }))
const units = tables[0]!.rows.map(({ name, values }) => ({ name, values }))
const of = (name: string, ...keys: string[]) => {
  const row = units.find(row => row.name === name)
  if (row === undefined) throw new Error(`no row ${name}`)
  return keys.reduce((sum, key) => sum + row.values[key]!, 0)
}

/** The figure that the page has at a place. */
function figure (pattern: RegExp): number {
  const [, text] = pattern.exec(COST) ?? []
  if (text === undefined) throw new Error(`docs/cost.md has no figure at ${pattern}`)
  return Number(text.replaceAll(',', ''))
}

t.test('the committed results have the same units', async t => {
  const committed = readResults()['pipeline']!.tables
  for (const { id, rows } of tables) {
    const figures = (list: typeof rows) => list.map(({ name, values }) => [name, Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Number(value!.toPrecision(4))]))])
    t.same(figures(rows), figures(committed.find(table => table.id === id)!.rows.filter(({ name }) => !name.startsWith('batch'))), `${id}: npm run bench -- pipeline writes them`)
  }
})

t.test('a place in an index is written as often as its item, and an entry twice', async t => {
  const places = new Map(tables[1]!.rows.map(({ name, values }) => [name, values]))
  for (const [name, values] of places) {
    const entries = (values['UsersTable.outbox'] ?? 0) + (values['AuthTable.outbox'] ?? 0)
    t.equal(entries, 2 * of(name, 'entries'), `${name}: put and removed`)
  }
})

t.test('prices are those of the page', async t => {
  const price = (pattern: RegExp, per: number) => figure(pattern) / per
  t.equal(PRICES.restRequest, price(/API Gateway REST \| ([\d.]+) per million/, 1e6))
  t.equal(PRICES.httpRequest, price(/`ApiType=http` \| ([\d.]+) per million/, 1e6))
  t.equal(PRICES.invocation, price(/Lambda arm64 \| ([\d.]+) per million invocations/, 1e6))
  t.equal(PRICES.gbSecond, price(/invocations \+ ([\d.]+) per GB-second/, 1))
  t.equal(PRICES.writeUnit, price(/on demand \| ([\d.]+) per million write units/, 1e6))
  t.equal(PRICES.readUnit, price(/write units, ([\d.]+) per million read units/, 1e6))
  t.equal(PRICES.sqsCall, price(/SQS standard \| ([\d.]+) per million/, 1e6))
  t.equal(PRICES.event, price(/EventBridge \| ([\d.]+) per million events/, 1e6))
  t.equal(PRICES.mail, price(/SES \| ([\d.]+) per thousand/, 1e3))
  t.equal(PRICES.logGb, price(/CloudWatch Logs \| ([\d.]+) per GB/, 1))
})

t.test('an item has the size that DynamoDB documents', async t => {
  t.equal(itemSize({ pk: { S: 'é' } }), 4)
  t.equal(itemSize({ n: { N: '1500' } }), 1 + 2, 'trailing zeros do not count')
  t.equal(itemSize({ n: { N: '-12345' } }), 1 + 5)
  t.equal(itemSize({ l: { L: [{ S: 'ab' }, { BOOL: true }] } }), 1 + 3 + (1 + 2) + (1 + 1))
  t.equal(itemSize({ m: { M: { k: { NULL: true } } } }), 1 + 3 + 1 + 1 + 1)
  t.equal(writeUnits(undefined), 1, 'a refused write of a missing item')
  t.equal(writeUnits({ a: { S: 'x'.repeat(1023) } }), 1)
  t.equal(writeUnits({ a: { S: 'x'.repeat(1024) } }), 2)
})
