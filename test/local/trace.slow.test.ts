import { CloudFormationClient, CreateStackCommand } from '@aws-sdk/client-cloudformation'
import { CloudWatchLogsClient, CreateLogStreamCommand, PutLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { join } from 'node:path'
import t from 'tap'
import { startMoto } from '../moto.ts'
import { run } from './npm-scripts.ts'
import { ROOT } from './running.ts'

const moto = await startMoto(t)

t.test('the story of a request is found in the logs of a stack, the extracted worker among them', { skip: moto === undefined }, async t => {
  const { env, endpoint } = moto!
  const client = { endpoint, region: env['AWS_REGION']!, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  const cloudformation = new CloudFormationClient(client)
  const logs = new CloudWatchLogsClient(client)
  t.teardown(() => { cloudformation.destroy(); logs.destroy() })

  const groupsOf = (names: string[]) => JSON.stringify({
    Resources: Object.fromEntries(names.map(name => [name, { Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: `/${name}` } }])),
    Outputs: Object.fromEntries(names.map(name => [name, { Value: { Ref: name } }]))
  })
  await cloudformation.send(new CreateStackCommand({ StackName: 'users-dev', TemplateBody: groupsOf(['ApiLogGroup', 'EmailLogGroup']) }))
  await cloudformation.send(new CreateStackCommand({ StackName: 'other', TemplateBody: groupsOf(['SomethingElse']) }))

  const now = Date.now()
  const put = async (logGroupName: string, entries: [secondsAgo: number, fields: object][]) => {
    const logStreamName = `stream-${now}`
    await logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName }))
    const logEvents = entries.map(([seconds, fields]) => {
      const timestamp = now - seconds * 1000
      return { timestamp, message: JSON.stringify({ level: 'info', time: new Date(timestamp).toISOString(), service: 'user-service', environment: 'users-dev', correlationId: 'shop-1', ...fields }) }
    })
    await logs.send(new PutLogEventsCommand({ logGroupName, logStreamName, logEvents }))
  }
  await put('/ApiLogGroup', [
    [7200, { correlationId: 'shop-0', method: 'GET', route: '/v2/users/me', statusCode: 200, durationMs: 3, msg: 'answered' }],
    ...Array.from({ length: 300 }, (): [number, object] => [40, { correlationId: 'shop-10', msg: 'another' }]),
    [30, { method: 'POST', route: '/v2/users', statusCode: 202, durationMs: 20, msg: 'answered' }],
    [29, { eventId: 'e', eventType: 'code.requested', waitedMs: 900, msg: 'handled' }]
  ])
  await put('/EmailLogGroup', [[28, { messageId: 'e', sqsMessageId: 's', type: 'WELCOME_EMAIL', msg: 'mail sent' }]])

  const trace = (...args: string[]) => run(t, [join(ROOT, 'scripts/trace.ts'), ...args], { env })
  const { code, stdout, stderr } = await trace('shop-1', '--stack', 'users-dev')
  t.same([code, stderr], [0, ''])
  t.match(stdout, /request +POST \/v2\/users answered 202 after 20 ms\n.+outbox +code\.requested handled 900 ms after it was written.+\n.+mail +mail sent \(WELCOME_EMAIL\).+\n\n3 steps in 2020 ms\n$/)
  t.equal((JSON.parse((await trace('shop-1', '--stack', 'users-dev', '--json')).stdout) as object[]).length, 3)

  t.match(await trace('shop-0', '--stack', 'users-dev', '--since', '1h'), { code: 1, stdout: '', stderr: 'There is nothing about shop-0 in /ApiLogGroup and /EmailLogGroup, since 1h: --since looks further back\n' })
  t.match(await trace('shop-0', '--stack', 'users-dev', '--since', '1d'), { code: 0 })
  t.match(await trace('shop-1', '--stack', 'nothing'), { code: 2, stderr: 'There is no stack nothing in this account and region\n' })
  t.match(await trace('shop-1', '--stack', 'other'), { code: 2, stderr: 'The stack other has no output ApiLogGroup: is it a stack of template.yaml, and deployed?\n' })
})
