import { writeFileSync } from 'node:fs'
import t from 'tap'
import { differences, failuresIn, filesIn, makeScratch, TYPES } from './scratch.ts'

/** Files of today that a module may touch: those that every module is in, and the documents. */
const MOST = 9

// What npm run env, openapi and client write is not written by hand.
const isGenerated = (file: string) => /^(?:\.env\.example|docs\/(?:configuration\.md|openapi|schemas|asyncapi\.json|errors\.md)|clients\/|src\/server\/metric-list\.ts)/.test(file)

const TESTS = [
  'test/modules/orders/orders.test.ts',
  'test/house/boundaries.test.ts',
  'test/house/words.test.ts',
  'test/docs/docs.test.ts',
  'test/docs/errors.test.ts',
  'test/docs/grafana.test.ts',
  'test/local/env.test.ts',
  'test/local/template.test.ts',
  'test/plugins/config.test.ts',
  'test/plugins/docs.test.ts',
  'test/plugins/docs-answers.test.ts',
  'test/plugins/docs-source.test.ts',
  'test/plugins/metrics.test.ts',
  'test/security/erasure.test.ts',
  'test/template/alarms.test.ts',
  'test/template/data.test.ts',
  'test/template/functions.test.ts',
  'test/template/iam.test.ts',
  'test/template/iam-recording.test.ts',
  'test/template/privacy.test.ts',
  'test/template/tables.test.ts'
]

const NEW_MODULE = 'scripts/new-module.ts'

t.test(`npm run new:module -- orders: a module that touches at most ${MOST} files by hand, whose tests pass at once, and that leaves without a trace`, { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  const untouched = filesIn(scratch)
  const planned = await scratch.run([NEW_MODULE, 'orders', '--dry-run'])
  t.equal(planned.status, 0, planned.output)
  t.same(differences(untouched, filesIn(scratch)), [], '--dry-run writes nothing')
  const listed = (kind: string) => [...planned.output.matchAll(new RegExp(`^ {2}${kind} +(.*)$`, 'gm'))].map(([, file]) => file!).sort()

  const made = await scratch.run([NEW_MODULE, 'orders'])
  t.equal(made.status, 0, made.output)
  const written = filesIn(scratch)
  const byHand = differences(untouched, written).filter(file => !isGenerated(file))
  t.same(byHand.filter(file => untouched.has(file)), listed('changes'), 'what --dry-run says')
  t.same(byHand.filter(file => !untouched.has(file)), listed('writes'))
  t.ok(listed('changes').length <= MOST, listed('changes').join(', '))
  t.ok(listed('changes').length >= 5)
  t.match(scratch.read('docs/openapi/v2.json'), '/v2/users/me/orders/{id}')
  t.match(scratch.read('docs/schemas/order.created.v1.json'), 'A user has created an order')
  t.match(scratch.read('.env.example'), 'ORDERS_TABLE=OrdersTable')
  t.same([...written].filter(([file, content]) => !untouched.has(file) && /purchase/i.test(content)).map(([file]) => file), [], 'no name of the templates is left')

  // Two at a time: as many as there are cores on a small machine.
  const own = listed('writes').concat(listed('changes')).filter(file => file.endsWith('.ts'))
  const waiting = [TYPES, ['node_modules/eslint/bin/eslint.js', ...own], ...TESTS.map(file => [file])]
  await Promise.all([1, 2].map(async () => {
    for (let args = waiting.shift(); args !== undefined; args = waiting.shift()) {
      const { status, output } = await scratch.run(args)
      t.equal(status, 0, `${args.join(' ')}: ${status === 0 ? 'passes' : failuresIn(output)}`)
    }
  }))

  const again = await scratch.run([NEW_MODULE, 'orders'])
  t.match(again, { status: 2, output: 'orders cannot be the name of a new module: src/modules/orders exists\n' })

  writeFileSync(scratch.path('src/modules/orders/service.ts'), `${scratch.read('src/modules/orders/service.ts')}\n// A rule of its own.\n`)
  const changed = await scratch.run([NEW_MODULE, 'orders', '--remove'])
  t.match(changed, { status: 1, output: 'orders has been changed since it was written (src/modules/orders/service.ts). Nothing was removed; --force removes it all the same\n' })
  t.ok(filesIn(scratch).has('src/modules/orders/service.ts'))
  const removed = await scratch.run([NEW_MODULE, 'orders', '--remove', '--force'])
  t.equal(removed.status, 0, removed.output)
  t.same(differences(untouched, filesIn(scratch)), [], 'everything is as before')
})
