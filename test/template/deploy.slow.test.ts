import { CloudFormationClient, CreateStackCommand, DeleteStackCommand, GetStackPolicyCommand, UpdateStackCommand } from '@aws-sdk/client-cloudformation'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { hashOf } from '../../scripts/build/lambda.ts'
import { deploy, DeployError, type Deployment } from '../../scripts/deploy.ts'
import { protect, STACK_POLICY } from '../../scripts/protection.ts'
import { addressOf, missingRecord } from '../../scripts/stack.ts'
import { readStage } from '../../scripts/stage.ts'
import { startCloudFormation, type Answers } from '../cloudformation.ts'
import { startMoto } from '../moto.ts'

const moto = await startMoto(t)
const API_URL = 'https://abc.execute-api.eu-central-1.amazonaws.com'

/** A stack with the outputs of template.yaml, for moto, which has no SAM transform. */
const template = (stage: string, { hasDomain = false, hasCaches = false } = {}) => JSON.stringify({
  Parameters: { PublicUrl: { Type: 'String', Default: 'https://public-url.invalid' }, FirstDeployment: { Type: 'String' } },
  Resources: { Topic: { Type: 'AWS::SNS::Topic' } },
  Outputs: {
    ApiUrl: { Value: `${API_URL}/${stage}` },
    PublicUrl: { Value: hasDomain ? 'https://api.example.com' : { Ref: 'PublicUrl' } },
    ...(hasCaches ? { CodeCacheFunctionName: { Value: 'makes-caches' } } : {}),
    ...(hasDomain ? { DomainTarget: { Value: 'd-1.execute-api.eu-central-1.amazonaws.com' } } : {})
  }
})

/** What the stack of bootstrap.yaml says. */
const bootstrap = (outputs: Record<string, string>) => JSON.stringify({ Resources: { Topic: { Type: 'AWS::SNS::Topic' } }, Outputs: Object.fromEntries(Object.entries(outputs).map(([name, Value]) => [name, { Value }])) })
const BOOTSTRAP = { ArtifactBucket: 'artifacts', ExecutionRoleArn: 'arn:aws:iam::123456789012:role/bootstrap/execution', PermissionsBoundaryArn: 'arn:aws:iam::123456789012:policy/bootstrap/boundary' }

/** A directory to deploy from, an account, and a `sam` that creates and updates the stack in it. */
async function account (t: Test, { answers = {}, outputs = BOOTSTRAP, exit = () => 0, hasCaches = false }: { answers?: Answers, outputs?: Record<string, string>, exit?: (run: number) => number, hasCaches?: boolean } = {}) {
  const root = t.testdir()
  for (const file of ['template.yaml', 'samconfig.toml', 'hooks']) cpSync(file, join(root, file), { recursive: true })
  mkdirSync(join(root, 'dist/lambda'), { recursive: true })
  writeFileSync(join(root, 'dist/lambda/index.mjs'), 'export const handler = 1\n')

  const { endpoint, calls } = await startCloudFormation(t, moto!.endpoint, answers)
  const cloudformation = new CloudFormationClient({ endpoint, region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
  t.teardown(() => { cloudformation.destroy() })
  const runs: { args: string[], parameters: Record<string, string> }[] = []
  const lines: string[] = []
  const names: string[] = []
  if (Object.keys(outputs).length > 0) {
    for (const stage of ['dev', 'staging', 'prod']) {
      const StackName = `bootstrap-user-service-${stage}`
      names.push(StackName, `user-service-${stage}`)
      await cloudformation.send(new CreateStackCommand({ StackName, TemplateBody: bootstrap(outputs) }))
    }
  }
  t.teardown(async () => { for (const StackName of names) await cloudformation.send(new DeleteStackCommand({ StackName })) })

  async function sam (args: string[]): Promise<number> {
    const stage = args[args.indexOf('--config-env') + 1]!
    const described = readStage(root, stage)
    const written = parse(readFileSync(join(root, 'dist/release.yaml'), 'utf8')) as Record<string, string>
    const parameters = { ...written, ...described.parameters }
    runs.push({ args, parameters })
    const code = exit(runs.length)
    if (code !== 0) return code
    const command = {
      StackName: described.stack,
      TemplateBody: template(stage, { hasDomain: 'DomainName' in described.parameters, hasCaches }),
      Parameters: ['PublicUrl', 'FirstDeployment'].map(ParameterKey => ({ ParameterKey, ParameterValue: parameters[ParameterKey] }))
    }
    if (parameters['FirstDeployment'] === 'true') await cloudformation.send(new CreateStackCommand(command))
    // As with fail_on_empty_changeset = false.
    else await cloudformation.send(new UpdateStackCommand(command)).catch((error: Error) => { if (!error.message.startsWith('No updates')) throw error })
    return 0
  }
  const run = async (stage: string, more: Partial<Deployment> = {}) => {
    lines.length = runs.length = 0
    return await deploy({ root, stage, cloudformation, sam, print: line => { lines.push(line) }, makeCache: async () => { throw new Error('no function is called') }, ...more })
  }
  return { root, cloudformation, calls, runs, lines, run }
}

t.test('a stage without a domain is deployed twice, the second time with its own address, and once from then on', { skip: moto === undefined }, async t => {
  const { run, runs, lines, calls } = await account(t)
  t.equal(await run('dev'), 0)
  t.match(runs, [
    { args: ['deploy', '--config-env', 'dev', '--s3-bucket', 'artifacts', '--role-arn', BOOTSTRAP.ExecutionRoleArn], parameters: { PublicUrl: 'https://public-url.invalid', FirstDeployment: 'true', PermissionsBoundaryArn: BOOTSTRAP.PermissionsBoundaryArn, CodeSigningConfigArn: '', Stage: 'dev', Waf: 'false', EmailFrom: 'dev@users.example.com' } },
    { parameters: { PublicUrl: `${API_URL}/dev`, FirstDeployment: 'false' } }
  ])
  t.not(runs[0]!.parameters['Release'], runs[1]!.parameters['Release'], 'the functions get the address with a new version')
  t.equal(lines.at(-1), `user-service-dev answers at ${API_URL}/dev`)
  const second = runs[1]!.parameters['Release']
  t.equal(await run('dev'), 0)
  t.match(runs.map(({ parameters: { PublicUrl, Release } }) => [PublicUrl, Release]), [[`${API_URL}/dev`, second]], 'the same release')
  t.notOk(calls.some(({ Action }) => Action === 'UpdateTerminationProtection' || Action === 'SetStackPolicy'), 'dev may be deleted')
})

t.test('prod is created without protected tables, then protected: tables, stack, and data from replacement', { skip: moto === undefined }, async t => {
  const { run, runs, lines, calls, cloudformation } = await account(t)
  t.equal(await run('prod', { resolves: async () => false }), 0)
  t.match(runs.map(({ parameters: { FirstDeployment, PublicUrl, DomainName } }) => [FirstDeployment, PublicUrl, DomainName]), [['true', 'https://public-url.invalid', 'api.example.com'], ['false', 'https://public-url.invalid', 'api.example.com']])
  t.equal(runs[0]!.parameters['Release'], runs[1]!.parameters['Release'], 'the second step publishes no version: only tables change')
  t.strictSame(lines.slice(-4), [
    'termination protection is on', 'stack policy is on', 'user-service-prod answers at https://api.example.com',
    'api.example.com has no address yet: make it a CNAME of d-1.execute-api.eu-central-1.amazonaws.com'
  ])
  const { StackPolicyBody } = await cloudformation.send(new GetStackPolicyCommand({ StackName: 'user-service-prod' }))
  t.equal(StackPolicyBody, STACK_POLICY)

  calls.length = 0
  t.equal(await run('prod', { resolves: async () => true }), 0)
  t.equal(runs.length, 1)
  t.strictSame(lines.slice(2), ['user-service-prod answers at https://api.example.com'])
  t.notOk(calls.some(({ Action }) => Action === 'UpdateTerminationProtection' || Action === 'SetStackPolicy'), 'nothing is set twice')
  t.strictSame(await protect(cloudformation, 'user-service-prod'), [])
})

t.test('an artifact is deployed with the code cache that a function of the stack makes, and without one when that fails', { skip: moto === undefined }, async t => {
  const { root, run, runs, lines } = await account(t, { hasCaches: true })
  writeFileSync(join(root, 'dist/lambda/service.cjs'), 'script')
  const asked: string[] = []
  const made = (runtime: string, cache: string): Deployment['makeCache'] => async (name, { files, requests }) => {
    asked.push(name)
    t.strictSame(Object.keys(files), ['index.mjs', 'service.cjs'])
    return { runtime, cache: gzipSync(cache).toString('base64'), statuses: requests.length === 4 ? [200, 201, 202, 401] : [] }
  }
  const cached = () => existsSync(join(root, 'dist/lambda/code-cache')) ? readdirSync(join(root, 'dist/lambda/code-cache')) : []
  t.equal(await run('dev', { makeCache: made('v24.1.0-arm64', 'one') }), 0)
  t.strictSame([lines[0], asked, cached()], ['without a code cache: the stack has no function yet that makes one. Cold starts take half as much CPU again until the next deployment', [], []])
  const releases: string[] = []
  for (const [runtime, cache] of [['v24.1.0-arm64', 'one'], ['v24.1.0-arm64', 'two'], ['v24.2.0-arm64', 'three']] as const) {
    t.equal(await run('dev', { makeCache: made(runtime, cache) }), 0)
    t.strictSame([lines[0], cached()], [`with a code cache for Node ${runtime}`, [`${runtime}-${hashOf(Buffer.from('script'))}`]])
    t.equal(readFileSync(join(root, 'dist/lambda/code-cache', cached()[0]!), 'utf8'), cache)
    releases.push(runs[0]!.parameters['Release']!)
  }
  t.equal(new Set(asked).size, 1)
  t.equal(releases[0], releases[1], 'another cache for the same script and runtime is no other release')
  t.not(releases[1], releases[2], 'one for another runtime is')
  t.equal(await run('dev'), 0)
  t.equal(lines[0], 'without a code cache, so cold starts take half as much CPU again: no function is called')
  t.equal(await run('dev', { makeCache: async () => ({ runtime: 'v24.2.0-arm64', cache: '', statuses: [500] }) }), 0)
  t.match(lines[0], /the app answered 500/)
})

t.test('the stack policy keeps what cannot be created again, and lets everything else be updated', async t => {
  const { Statement: [allow, deny] } = JSON.parse(STACK_POLICY) as { Statement: [object, { Condition: { StringEquals: { ResourceType: string[] } } }] }
  t.match(allow, { Effect: 'Allow', Principal: '*', Action: 'Update:*', Resource: '*' })
  t.match(deny, { Effect: 'Deny', Action: ['Update:Replace', 'Update:Delete'] })
  const { Resources } = (await import('./evaluate.ts')).loadTemplate()
  const kept = Object.values(Resources).filter(({ DeletionPolicy }) => DeletionPolicy?.startsWith('Retain')).map(({ Type }) => Type)
  const types = deny.Condition.StringEquals.ResourceType
  // These two are a setting of the region, and hold nothing.
  t.strictSame([...new Set(kept)].filter(type => !types.includes(type)).sort(), ['AWS::ApiGateway::Account', 'AWS::IAM::Role'], 'all that outlives the stack')
})

t.test('with code signing each function of the template is signed', { skip: moto === undefined }, async t => {
  const { run, runs } = await account(t, { outputs: { ...BOOTSTRAP, SigningProfileName: 'profile_1', CodeSigningConfigArn: 'arn:signatures' } })
  t.equal(await run('dev', { options: ['--no-execute-changeset'] }), 0)
  t.equal(runs.length, 1, 'a change set that is only made is not followed by another')
  const { args, parameters } = runs[0]!
  t.equal(parameters['CodeSigningConfigArn'], 'arn:signatures')
  const signed = args.slice(args.indexOf('--signing-profiles') + 1, args.indexOf('--no-execute-changeset'))
  t.strictSame(signed.sort(), ['ApiFunction', 'ApiSmokeFunction', 'AuthorizerFunction', 'CodeCacheFunction', 'EmailFunction', 'EmailSmokeFunction', 'RotationFunction'].map(id => `${id}=profile_1`))
})

t.test('without the bootstrap stack nothing is deployed, and the message names it', { skip: moto === undefined }, async t => {
  const { run, runs } = await account(t, { outputs: {} })
  await t.rejects(run('staging'), new DeployError('There is no stack bootstrap-user-service-staging in eu-central-1: deploy bootstrap.yaml first, see docs/deployment.md#bootstrap'))
  t.equal(runs.length, 0)
})

t.test('a failed creation is reported with what to do, at once and before the next attempt', { skip: moto === undefined }, async t => {
  let status: string | undefined
  const { run, runs } = await account(t, {
    answers: { DescribeStacks: ({ StackName }) => StackName === 'user-service-staging' ? status : undefined },
    exit: () => status === undefined ? 0 : 1
  })
  t.equal(await run('staging'), 0)
  for (status of ['ROLLBACK_COMPLETE', 'ROLLBACK_FAILED', 'CREATE_FAILED', 'DELETE_FAILED']) {
    await t.rejects(run('staging'), { message: `The creation of user-service-staging has failed (${status}), and a new one needs this stack deleted: docs/deployment.md#a-failed-deployment says what to do` })
    t.equal(runs.length, 0, status)
  }
  status = 'UPDATE_ROLLBACK_FAILED'
  await t.rejects(run('staging'), { message: /^The last deployment of user-service-staging could not be rolled back/ })
  status = 'UPDATE_IN_PROGRESS'
  await t.rejects(run('staging'), { message: 'user-service-staging is being changed (UPDATE_IN_PROGRESS): deploy when that has ended' })
  status = 'UPDATE_ROLLBACK_COMPLETE'
  t.equal(await run('staging'), 1, 'a deployment that was rolled back has failed, and the next one may start')
  t.equal(runs.length, 1)
})

t.test('a deployment that fails before there is a stack has the exit code of sam, and is not followed by another', { skip: moto === undefined }, async t => {
  const { run, runs } = await account(t, { exit: () => 3 })
  t.equal(await run('staging'), 3)
  t.equal(runs.length, 1)
})

t.test('samconfig.toml has the tag by which bootstrap.yaml knows the secrets of a stack, and lists the written parameters first', async t => {
  const { parse: parseToml } = await import('smol-toml')
  const settings = parseToml(readFileSync('samconfig.toml', 'utf8')) as unknown as Record<string, { deploy: { parameters: { tags: string, parameter_overrides: string[], resolve_s3?: boolean } } }>
  for (const stage of ['dev', 'staging', 'prod']) {
    const { tags, parameter_overrides: [first], resolve_s3: managed } = settings[stage]!.deploy.parameters
    const { stack } = readStage('.', stage)
    t.ok(tags.split(' ').includes(`stack=${stack}`), stage)
    t.equal(stack, `user-service-${stage}`, 'as ServiceName and Stage of bootstrap.yaml make it')
    t.equal(first, 'file://dist/release.yaml')
    t.equal(managed, undefined, 'artifacts go to the bucket of bootstrap.yaml')
  }
})

t.test('a stage is tested at its public URL, and at the address of its API while it has none', async t => {
  const stack = (outputs: Record<string, string>) => ({ status: 'UPDATE_COMPLETE', reason: '', isProtected: false, outputs: { ApiUrl: `${API_URL}/staging`, ...outputs } })
  const domain = stack({ PublicUrl: 'https://api.example.com', DomainTarget: 'd-1.example' })
  t.equal(addressOf(domain), 'https://api.example.com')
  t.equal(addressOf(stack({ PublicUrl: 'https://public-url.invalid' })), `${API_URL}/staging`, 'the placeholder')
  t.equal(await missingRecord(domain, async () => true), undefined)
  t.equal(await missingRecord(domain, async () => false), 'api.example.com has no address yet: make it a CNAME of d-1.example')
})
