// The commands of docs/deployment.md, copied from the page and run in its order: on moto, with termination protection and drift answered
// by test/cloudformation.ts, and with a `sam` that creates the stack's outputs, since moto has no SAM transform.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startCloudFormation } from '../cloudformation.ts'
import { startMoto } from '../moto.ts'

/** Blocks that are not run, by a text in them, with the reason. */
const NOT_RUN: Record<string, string> = {
  'service-quotas request-service-quota-increase': 'moto knows the quotas of VPC only',
  'sesv2 put-account-details': 'moto does not know the call; AWS answers it by hand',
  'ce update-cost-allocation-tags-status': 'moto does not know the call',
  'gh variable set': 'GitHub has no emulator',
  'backup put-backup-vault-lock-configuration': 'no vault is here: it is a part of a stage that has backups by parameter',
  'npm ci': '.ci/run does it in a fresh clone',
  'npm run test:integration': 'test/lambda/integration.slow.test.ts runs it against the service'
}

const blocksOf = (page: string): string[] => [...page.matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
const blocks = blocksOf(readFileSync('docs/deployment.md', 'utf8'))
const reasonOf = (block: string) => Object.entries(NOT_RUN).find(([text]) => block.includes(text))?.[1]

t.test('each block that is not run is on the page, and for one reason', async t => {
  t.ok(blocks.length > 12)
  for (const text of Object.keys(NOT_RUN)) t.equal(blocks.filter(block => block.includes(text)).length, 1, text)
  t.ok(blocks.filter(block => reasonOf(block) === undefined).length > blocks.length / 2, 'most are run')
})

process.env['MOTO_ACM_VALIDATION_WAIT'] = '0' // seconds until a certificate is issued
const moto = await startMoto(t)

/** A stack with the outputs of template.yaml. */
const template = (url: string) => JSON.stringify({
  Parameters: { PublicUrl: { Type: 'String' } },
  Resources: { Topic: { Type: 'AWS::SNS::Topic' } },
  Outputs: { ApiUrl: { Value: url }, PublicUrl: { Value: { Ref: 'PublicUrl' } } }
})

const SAM = `#!/usr/bin/env bash
set -euo pipefail
printf '%s\\n' "$*" >> sam.log
value () { sed -n "s/^$1: \\"\\(.*\\)\\"$/\\1/p" dist/release.yaml; }
operation=update-stack
if [ "$(value FirstDeployment)" = true ]; then operation=create-stack; fi
aws cloudformation "$operation" --stack-name "user-service-$3" --template-body file://stack.json --parameters "ParameterKey=PublicUrl,ParameterValue=$(value PublicUrl)"
`

t.test('the page leads from an empty account to a stage, and back', { skip: moto === undefined, timeout: 600_000 }, async t => {
  // The service, as far as the page asks it for anything.
  const asked: string[] = []
  const service = createServer((request, response) => {
    asked.push(request.url!)
    response.end('{"status":"healthy"}')
  })
  await new Promise<void>(resolve => { service.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    service.closeAllConnections()
    service.close()
  })
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/dev`

  const { endpoint, calls } = await startCloudFormation(t, moto!.endpoint, {
    DetectStackDrift: () => '<StackDriftDetectionId>d</StackDriftDetectionId>',
    DescribeStackDriftDetectionStatus: () => '<StackId>1</StackId><StackDriftDetectionId>d</StackDriftDetectionId><DetectionStatus>DETECTION_COMPLETE</DetectionStatus><Timestamp>2026-11-26T00:00:00Z</Timestamp>',
    DescribeStackResourceDrifts: () => '<StackResourceDrifts></StackResourceDrifts>'
  })
  const root = t.testdir({ bin: {}, dist: { lambda: { 'index.mjs': 'export const handler = 1\n' } }, 'stack.json': template(url) })
  for (const file of ['scripts', 'local', 'hooks', 'package.json', 'template.yaml', 'bootstrap.yaml', 'samconfig.toml']) cpSync(file, join(root, file), { recursive: true })
  for (const file of ['node_modules', 'src']) symlinkSync(join(process.cwd(), file), join(root, file))
  mkdirSync(join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'bin/sam'), SAM, { mode: 0o755 })

  const run = async (block: string) => await moto!.shell(`cd '${root}'; export PATH="${root}/bin:$PATH" AWS_ENDPOINT_URL=${endpoint}\n${block}`, { HOME: root })
  /** What must be there before a block: stages that the page does not deploy. */
  async function prepare (block: string): Promise<void> {
    if (block.includes('set-stack-policy')) await moto!.aws('cloudformation', 'create-stack', '--stack-name', 'user-service-staging', '--template-body', template(url), '--parameters', `ParameterKey=PublicUrl,ParameterValue=${url}`)
  }
  const outputs: Record<string, string> = {}
  for (const block of blocks) {
    const reason = reasonOf(block)
    const [first = ''] = block.split('\n')
    if (reason !== undefined) {
      t.comment(`not run: ${first} (${reason})`)
      continue
    }
    await prepare(block)
    try {
      outputs[first] = await run(block)
      t.pass(first)
    } catch (error) {
      t.fail(first, { error: String((error as { stderr?: string }).stderr ?? error).slice(-1500) })
      return
    }
  }
  const outputOf = (text: string) => Object.entries(outputs).find(([first]) => first.includes(text))![1]
  t.match(outputOf('acm request-certificate'), /"Type": "CNAME"/, 'the record that proves the domain')
  t.match(JSON.parse(await moto!.aws('iam', 'list-roles', '--path-prefix', '/bootstrap/')), { Roles: [Object, Object] }, 'both roles of bootstrap.yaml')
  t.match(outputOf('npm run deploy -- dev'), new RegExp(`user-service-dev answers at ${url}`))
  const [create = '', update] = readFileSync(join(root, 'sam.log'), 'utf8').trim().split('\n')
  t.match(create, /^deploy --config-env dev --s3-bucket bootstrap-user-service-dev-artifacts-\S+ --role-arn arn:aws:iam::123456789012:role\/bootstrap\/\S+$/)
  t.equal(update, create, 'the second step')
  t.strictSame(asked, ['/dev/health/ready'])
  t.match(outputOf('npm run drift'), 'every one is as the template says')
  t.ok(calls.some(({ Action, StackName }) => Action === 'UpdateTerminationProtection' && StackName === 'bootstrap-user-service-dev'))
  await t.rejects(moto!.aws('cloudformation', 'describe-stacks', '--stack-name', 'user-service-staging'), 'a stage that was taken down is gone')
  await t.rejects(run('aws cloudformation describe-stacks --stack-name no-such-stack'), 'and a command that fails is found')
})
