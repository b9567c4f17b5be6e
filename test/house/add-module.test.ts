import { cpSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { EDITS } from './fixtures/orders/edits.ts'
import { failuresIn, makeScratch, TYPES } from './scratch.ts'

/** Files of today that a module may touch: those that every module is in, and the documents. */
const MOST = 9

const FIXTURE = resolve(import.meta.dirname, 'fixtures/orders')

// What npm run env and npm run openapi write is not written by hand.
const GENERATORS = ['scripts/env.ts', 'scripts/openapi.ts']

const TESTS = [
  'test/modules/orders/orders.test.ts',
  'test/house/boundaries.test.ts',
  'test/house/words.test.ts',
  'test/docs/docs.test.ts',
  'test/local/env.test.ts',
  'test/local/template.test.ts',
  'test/plugins/config.test.ts',
  'test/plugins/docs.test.ts',
  'test/plugins/metrics.test.ts',
  'test/template/alarms.test.ts',
  'test/template/data.test.ts',
  'test/template/functions.test.ts',
  'test/template/iam.test.ts',
  'test/template/iam-recording.test.ts',
  'test/template/tables.test.ts'
]

t.test(`a module with a table, routes, an event, a follower of deletions, an alarm, a variable, a tag and metrics touches at most ${MOST} files`, { timeout: 230_000 }, async t => {
  t.ok(Object.keys(EDITS).length <= MOST, Object.keys(EDITS).join(', '))
  const scratch = makeScratch(t)
  for (const folder of ['src', 'test']) cpSync(resolve(FIXTURE, folder), scratch.path(folder), { recursive: true })
  scratch.edit(EDITS)
  for (const script of GENERATORS) {
    const { status, output } = await scratch.run([script])
    t.equal(status, 0, `${script}: ${output}`)
  }
  t.match(scratch.read('docs/openapi/v2.json'), '/v2/orders')
  t.match(scratch.read('.env.example'), 'ORDERS_TABLE=OrdersTable')

  // Two at a time: as many as there are cores on a small machine.
  const waiting = [TYPES, ...TESTS.map(file => [file])]
  await Promise.all([1, 2].map(async () => {
    for (let args = waiting.shift(); args !== undefined; args = waiting.shift()) {
      const { status, output } = await scratch.run(args)
      t.equal(status, 0, `${args.join(' ')}: ${status === 0 ? 'passes' : failuresIn(output)}`)
    }
  }))
})
