import { CloudFormationClient, CreateStackCommand, UpdateStackCommand } from '@aws-sdk/client-cloudformation'
import { CreateAliasCommand, CreateFunctionCommand, GetAliasCommand, LambdaClient, UpdateAliasCommand, UpdateFunctionCodeCommand } from '@aws-sdk/client-lambda'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startMoto } from '../moto.ts'
import { runScript } from '../operator.ts'

/** As much of the stack as the command looks at. */
const template = (version: string) => JSON.stringify({
  Resources: { Topic: { Type: 'AWS::SNS::Topic' } },
  Outputs: { ApiFunctionVersion: { Value: version }, DeploymentApplication: { Value: 'app' } }
})

/** An archive without a file, with a comment. */
const zip = (comment = '') => Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(16), Buffer.from([comment.length, 0]), Buffer.from(comment)])

t.test('an earlier version serves within seconds, and the next deployment finds the version it knows', async t => {
  const moto = await startMoto(t)
  if (moto === undefined) return
  // CodeDeploy's part: which deployments run, and what was stopped.
  const codedeploy = { running: [] as string[], stopped: [] as unknown[] }
  const server = createServer((request, response) => {
    void text(request).then(body => {
      const action = String(request.headers['x-amz-target']).split('.')[1]
      if (action === 'StopDeployment') codedeploy.stopped.push(JSON.parse(body))
      const answers: Record<string, object> = { ListDeploymentGroups: { deploymentGroups: ['group'] }, ListDeployments: { deployments: codedeploy.running }, StopDeployment: { status: 'Pending' } }
      response.setHeader('content-type', 'application/x-amz-json-1.1').end(JSON.stringify(answers[action!]))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const env = { ...moto.env, AWS_ENDPOINT_URL_CODEDEPLOY: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  const rollback = async (...args: string[]) => await runScript('rollback', args, env)
  const mine = ['--stack', 'svc', '--yes']

  const client = { region: moto.env['AWS_REGION']!, endpoint: moto.endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  const [lambda, cloudformation] = [new LambdaClient(client), new CloudFormationClient(client)]
  t.teardown(() => { lambda.destroy(); cloudformation.destroy() })
  const Role = (await moto.aws('iam', 'create-role', '--role-name', 'x', '--assume-role-policy-document', '{}', '--query', 'Role.Arn', '--output', 'text')).trim()
  const { FunctionArn } = await lambda.send(new CreateFunctionCommand({ FunctionName: 'api', Runtime: 'nodejs24.x', Handler: 'index.handler', Role, Code: { ZipFile: zip() }, Publish: true }))
  const arn = FunctionArn!.replace(/:1$/, '')
  await lambda.send(new CreateAliasCommand({ FunctionName: 'api', Name: 'live', FunctionVersion: '1' }))
  const serves = async () => (await lambda.send(new GetAliasCommand({ FunctionName: 'api', Name: 'live' }))).FunctionVersion
  await cloudformation.send(new CreateStackCommand({ StackName: 'svc', TemplateBody: template(`${arn}:1`) }))
  t.match(await rollback('start', ...mine), { code: 2, stderr: /^api has no version before; published: 1$/m })

  // A release, by CloudFormation and CodeDeploy.
  await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: 'api', ZipFile: zip('x'), Publish: true }))
  await lambda.send(new UpdateAliasCommand({ FunctionName: 'api', Name: 'live', FunctionVersion: '2' }))
  await cloudformation.send(new UpdateStackCommand({ StackName: 'svc', TemplateBody: template(`${arn}:2`) }))
  t.match(await rollback('status', '--stack', 'svc'), { code: 0, stdout: /: serves version 2; published: 1 2$/m })
  t.match(await rollback('start', ...mine, '--dry-run'), { code: 0, stdout: /^Would move .* from version 2 to 1\. Nothing was changed/ })
  t.equal(await serves(), '2')

  codedeploy.running = ['d-1']
  t.match(await rollback('end', ...mine), { code: 1, stderr: /^A deployment runs/ })
  t.match(await rollback('start', ...mine), { code: 0, stdout: /^Stopped\. / })
  t.match(codedeploy.stopped, [{ deploymentId: 'd-1', autoRollbackEnabled: true }])
  t.equal(await serves(), '2', 'CodeDeploy moves the alias')
  codedeploy.running = []

  t.match(await rollback('start', ...mine), { code: 0, stdout: /: serves version 1\n.*the next deployment fails unless/i })
  t.equal(await serves(), '1')
  t.match(await rollback('status', '--stack', 'svc'), { stdout: /serves version 1, and CloudFormation knows 2: run end before the next deployment/ })
  t.match(await rollback('end', ...mine), { code: 0, stdout: /: serves version 2$/m })
  t.equal(await serves(), '2', 'what CloudFormation passes to CodeDeploy as the current version')
  t.match(await rollback('end', ...mine), { code: 0, stdout: /nothing is to be done/ })
  t.match(await rollback('start', ...mine, '--to', '7'), { code: 2, stderr: / has no version 7/ })
  t.match(await rollback('status', '--stack', 'other'), { code: 2, stderr: /^There is no stack other in this account and region\n$/ })
})
