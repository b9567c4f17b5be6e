import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { matches } from '../../local/filters.ts'
import { parseTemplate, readResources, readTemplate } from '../../local/template.ts'

t.test('CloudFormation tags are read in their long form, nested ones too', async t => {
  const { Resources } = parseTemplate(`
Resources:
  Thing:
    Type: X
    Properties:
      A: !Ref Other
      B: !GetAtt Other.Endpoint.Port
      C: !If [IsProd, !Ref Big, 5]
      D: !Sub '\${AWS::StackName}-x'
      E: [!Ref One, two]`)
  t.strictSame(Resources['Thing']!.Properties, {
    A: { Ref: 'Other' },
    B: { 'Fn::GetAtt': ['Other', 'Endpoint.Port'] },
    C: { 'Fn::If': ['IsProd', { Ref: 'Big' }, 5] },
    D: { 'Fn::Sub': '${AWS::StackName}-x' }, // eslint-disable-line no-template-curly-in-string
    E: [{ Ref: 'One' }, 'two']
  })
})

t.test('the template of the service gives what the local engines need', async t => {
  const { tables, queues, streamMappings, queueMappings, buckets, bucketMappings, sweep } = readTemplate()
  for (const table of ['UsersTable', 'AuthTable', 'EmailTable']) t.ok(table in tables, table)
  t.strictSame(tables['UsersTable']!.KeySchema, [{ AttributeName: 'userId', KeyType: 'HASH' }])
  t.strictSame(queues['EmailQueue'], { VisibilityTimeout: 300, MessageRetentionPeriod: 1_209_600, redrive: { queue: 'EmailDeadLetterQueue', maxReceiveCount: 3 } })
  for (const table of ['UsersTable', 'AuthTable']) t.equal(streamMappings.filter(mapping => mapping.table === table).length, 1, table)
  for (const mapping of streamMappings) {
    t.ok(mapping.maximumRetries < 100, 'retries are finite')
    t.match(mapping, { bisects: true, reportsItemFailures: true, failureQueue: 'RelayFailureQueue', timeout: 10_000 })
    t.ok(matches(mapping.filters, { eventName: 'INSERT', dynamodb: { NewImage: { kind: { S: 'outbox' } } } }))
    t.notOk(matches(mapping.filters, { eventName: 'MODIFY', dynamodb: { NewImage: { kind: { S: 'outbox' } } } }))
    t.notOk(matches(mapping.filters, { eventName: 'INSERT', dynamodb: { NewImage: { kind: { S: 'user' } } } }))
    t.notOk(matches(mapping.filters, { eventName: 'REMOVE', dynamodb: {} }))
    t.notOk(matches(mapping.filters, { eventName: 'REMOVE', dynamodb: { OldImage: { kind: { S: 'user' } } } }), 'a deletion has its own entry')
    const expired = { eventName: 'REMOVE', userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' }, dynamodb: { OldImage: { kind: { S: 'user' } } } }
    t.equal(matches(mapping.filters, expired), mapping.table === 'UsersTable', 'accounts that expired')
  }
  t.strictSame(queueMappings, ['EmailQueue', 'MailReceiptsQueue'].map(queue => ({ queue, batchSize: 10, reportsItemFailures: true, timeout: 10_000 })), 'the API function’s timeout: nothing is extracted here')
  t.strictSame(buckets, { UPLOADS_BUCKET: 'uploads-bucket' }, 'the variable that functions get it in')
  t.match(bucketMappings, [{ bucket: 'uploads-bucket', prefix: 'incoming/', maximumRetries: 2, failureQueue: 'RelayFailureQueue', timeout: 10_000 }])
  t.ok(sweep.interval >= 60_000)
  t.equal(sweep.timeout, 10_000)
})

t.test('a template that was read before is not parsed again, unless it has changed', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-template-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'template.yaml')
  const cache = join(dir, '.cache/template.yaml.json')
  const write = (type: string) => writeFileSync(file, `Resources: { A: { Type: '${type}', Properties: { B: !Ref C } } }`)
  write('X')
  const first = readResources(file)
  t.strictSame(first, parseTemplate(readFileSync(file, 'utf8')))
  writeFileSync(cache, readFileSync(cache, 'utf8').replace('"X"', '"from the cache"'))
  t.equal(readResources(file).Resources['A']!.Type, 'from the cache')
  write('Y')
  t.equal(readResources(file).Resources['A']!.Type, 'Y')
  writeFileSync(cache, 'no JSON')
  t.equal(readResources(file).Resources['A']!.Type, 'Y')
  t.strictSame(readResources(), parseTemplate(readFileSync(new URL('../../template.yaml', import.meta.url), 'utf8')), 'the template of the service')
})

t.test('a mapping that leaves everything out has the defaults of AWS', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'user-service-template-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'template.yaml'), `
Resources:
  T: { Type: 'AWS::DynamoDB::Table', Properties: {} }
  Q: { Type: 'AWS::SQS::Queue' }
  A: { Type: 'AWS::Lambda::EventSourceMapping', Properties: { EventSourceArn: !GetAtt T.StreamArn, FunctionName: !Ref F.Alias } }
  B: { Type: 'AWS::Lambda::EventSourceMapping', Properties: { EventSourceArn: !GetAtt Q.Arn, FunctionName: !GetAtt G.Arn } }
  F: { Type: 'AWS::Serverless::Function', Properties: {} }
  G: { Type: 'AWS::Serverless::Function', Properties: { Timeout: 7 } }
  R: { Type: 'AWS::Events::Rule', Properties: { ScheduleExpression: rate(1 hour), Targets: [{ Arn: !Ref F.Alias }] } }`)
  const { queues, streamMappings, queueMappings, sweep } = readTemplate(join(dir, 'template.yaml'))
  t.strictSame(queues, { Q: { VisibilityTimeout: 30, MessageRetentionPeriod: 345_600 } })
  t.strictSame(streamMappings, [{ table: 'T', batchSize: 100, maximumRetries: Infinity, bisects: false, reportsItemFailures: false, filters: [], timeout: 3000 }])
  t.strictSame(queueMappings, [{ queue: 'Q', batchSize: 10, reportsItemFailures: false, timeout: 7000 }])
  t.strictSame(sweep, { interval: 3_600_000, timeout: 3000 })
})

t.test('filters compare as AWS does, and refuse what they do not know', async t => {
  t.ok(matches([], { anything: 1 }), 'no filter lets everything through')
  t.ok(matches([{ a: ['x'] }, { a: ['y'] }], { a: 'y' }), 'one of several is enough')
  t.notOk(matches([{ a: ['x'], b: ['y'] }], { a: 'x' }), 'each field must fit')
  t.ok(matches([{ a: [{ exists: false }] }], {}))
  t.notOk(matches([{ a: [{ exists: true }] }], {}))
  t.ok(matches([{ a: [{ prefix: 'ab' }] }], { a: 'abc' }))
  t.notOk(matches([{ a: [{ 'anything-but': ['x'] }] }], { a: 'x' }))
  t.throws(() => matches([{ a: [{ numeric: ['>', 1] }] }], { a: 2 }), /numeric is not supported/)
})
