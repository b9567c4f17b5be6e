import type { Context } from 'aws-lambda'
import fc from 'fast-check'
import fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { App } from '../../src/app.ts'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import consumers from '../../src/plugins/consumers.ts'
import { workload } from '../promise.ts'

const numRuns = workload({ short: 500, full: 20_000 })

/** What was handed to a consumer, or swept. */
const reached: string[] = []
const app = fastify()
app.decorate('config', { PUBLIC_URL: 'https://api.example.com' } as never)
app.decorate('metrics', { measure () {} } as unknown as App['metrics'])
app.register(fp(async () => {}, { name: 'metrics' }))
app.register(consumers)
app.decorate('outbox', { sweep: async () => { reached.push('sweep') } } as never)
await app.ready()
app.consumers.add({ queue: 'https://sqs.example/000000000000/EmailQueue' }, async ({ Records }) => { reached.push(...Records.map(() => 'queue')); return { batchItemFailures: [] } })
app.consumers.add({ table: 'UsersTable' }, async ({ Records }) => { reached.push(...Records.map(() => 'table')); return { batchItemFailures: [] } })
t.teardown(() => app.close())
const dispatch = createDispatch(app as unknown as App)

const known = fc.constantFrom<object>(
  { eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:eu-central-1:000000000000:EmailQueue' },
  { eventSource: 'aws:dynamodb', eventSourceARN: 'arn:aws:dynamodb:eu-central-1:000000000000:table/UsersTable/stream/2026' })
const unknown = fc.oneof(
  fc.record({ eventSource: fc.constantFrom('aws:sqs', 'aws:dynamodb', 'aws:s3', 'aws:sns', 'aws:kinesis', '', 1, null), eventSourceARN: fc.constantFrom('', 'EmailQueue', 'arn:aws:sqs:eu-central-1:000000000000:Other', 'arn:aws:dynamodb:eu-central-1:000000000000:table/Other/stream/1', '__proto__', null, 7) }, { requiredKeys: [] }),
  fc.constantFrom(null, 1, 'record', [], {}))
const records = fc.oneof(fc.array(fc.oneof(known, unknown), { maxLength: 5 }), fc.jsonValue())
const event = fc.oneof(
  records.map(Records => ({ Records })),
  fc.jsonValue(),
  fc.record({ source: fc.constantFrom('aws.events', 'aws.scheduler', 'user-service.schedule', 'aws.s3', ''), 'detail-type': fc.constantFrom('Scheduled Event', 'Other', 1), detailType: fc.constantFrom('sweep', 'other') }, { requiredKeys: [] }),
  fc.record({ requestContext: fc.oneof(fc.jsonValue(), fc.constant({ stage: 'prod' })), methodArn: fc.constant('arn:aws:execute-api:x'), type: fc.constantFrom('TOKEN', 'REQUEST') }, { requiredKeys: ['methodArn'] }),
  fc.record({ awslogs: fc.string(), Sns: fc.string(), id: fc.string(), body: fc.string(), path: fc.string() }, { requiredKeys: [] }))

t.test('an event is handed to its handler, or its invocation fails: no event succeeds unseen', async () => {
  await fc.assert(fc.asyncProperty(event, async event => {
    reached.length = 0
    const succeeded = await dispatch(event, {} as Context).then(() => true, () => false)
    if (!succeeded) return reached.length === 0
    const { Records } = event as { Records?: unknown[] }
    return Records === undefined ? reached.length === 1 && reached[0] === 'sweep' : reached.length === Records.length && new Set(reached).size === 1
  }), { numRuns })
})

t.test('a batch of one known source is handed over whole', async () => {
  await fc.assert(fc.asyncProperty(known, fc.integer({ min: 1, max: 10 }), async (record, count) => {
    reached.length = 0
    await dispatch({ Records: Array.from({ length: count }, () => record) }, {} as Context)
    return reached.length === count
  }), { numRuns })
})
