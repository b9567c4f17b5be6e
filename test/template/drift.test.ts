// moto does not know drift: its calls are answered here, in the form of CloudFormation's API reference.
import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import t, { type Test } from 'tap'
import { DriftError, findDrift } from '../../scripts/drift.ts'
import { startCloudFormation, type Answers } from '../cloudformation.ts'

const resource = (id: string, type: string) => `<member><LogicalResourceId>${id}</LogicalResourceId><ResourceType>${type}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus><LastUpdatedTimestamp>2026-11-26T00:00:00Z</LastUpdatedTimestamp></member>`

const drift = (id: string, type: string, status: string, paths: string[] = []) => `<member>
  <StackId>1</StackId><LogicalResourceId>${id}</LogicalResourceId><ResourceType>${type}</ResourceType><StackResourceDriftStatus>${status}</StackResourceDriftStatus><Timestamp>2026-11-26T00:00:00Z</Timestamp>
  <PropertyDifferences>${paths.map(path => `<member><PropertyPath>${path}</PropertyPath><ExpectedValue>1</ExpectedValue><ActualValue>2</ActualValue><DifferenceType>NOT_EQUAL</DifferenceType></member>`).join('')}</PropertyDifferences>
</member>`

const TYPES: [string, string][] = [['Users', 'AWS::DynamoDB::Table'], ['Queue', 'AWS::SQS::Queue'], ['Alias', 'AWS::Lambda::Alias'], ['RootSecret', 'AWS::SecretsManager::Secret']]

async function detection (t: Test, { types = TYPES, drifts = [], statuses = ['DETECTION_IN_PROGRESS', 'DETECTION_COMPLETE'], timeout = 5000 }: { types?: [string, string][], drifts?: string[], statuses?: string[], timeout?: number }) {
  let looks = 0
  const status = (name: string) => `<StackId>1</StackId><StackDriftDetectionId>d</StackDriftDetectionId><DetectionStatus>${name}</DetectionStatus>${name === 'DETECTION_FAILED' ? '<DetectionStatusReason>no permission to read Users</DetectionStatusReason>' : ''}<Timestamp>2026-11-26T00:00:00Z</Timestamp>`
  const answers: Answers = {
    ListStackResources: () => `<StackResourceSummaries>${types.map(([id, type]) => resource(id, type)).join('')}</StackResourceSummaries>`,
    DetectStackDrift: () => '<StackDriftDetectionId>d</StackDriftDetectionId>',
    DescribeStackDriftDetectionStatus: () => status(statuses[Math.min(looks++, statuses.length - 1)]!),
    // Two pages.
    DescribeStackResourceDrifts: ({ NextToken }) => NextToken === undefined
      ? `<StackResourceDrifts>${drifts.slice(0, 1).join('')}</StackResourceDrifts><NextToken>2</NextToken>`
      : `<StackResourceDrifts>${drifts.slice(1).join('')}</StackResourceDrifts>`
  }
  const { endpoint, calls } = await startCloudFormation(t, 'http://127.0.0.1:9', answers)
  const cloudformation = new CloudFormationClient({ endpoint, region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
  t.teardown(() => { cloudformation.destroy() })
  const lines: string[] = []
  return { calls, lines, found: findDrift({ cloudformation, stack: 'user-service-prod', print: line => { lines.push(line) }, interval: 1, timeout }) }
}

t.test('a stack that is as its template says has no drift; secrets are not compared', async t => {
  const { calls, lines, found } = await detection(t, {})
  t.strictSame(await found, [])
  t.match(lines, ['comparing 3 resources of user-service-prod with its template, which takes a few minutes'])
  const asked = calls.find(({ Action }) => Action === 'DetectStackDrift')!
  t.strictSame(Object.entries(asked).filter(([key]) => key.startsWith('LogicalResourceIds')).map(([, value]) => value), ['Users', 'Queue', 'Alias'])
})

t.test('what was changed or deleted by hand is listed, without values, on every page', async t => {
  const { found } = await detection(t, { drifts: [drift('Users', 'AWS::DynamoDB::Table', 'MODIFIED', ['/DeletionProtectionEnabled', '/SSESpecification']), drift('Queue', 'AWS::SQS::Queue', 'DELETED')] })
  t.strictSame(await found, ['Users (AWS::DynamoDB::Table) differs in /DeletionProtectionEnabled, /SSESpecification', 'Queue (AWS::SQS::Queue) is deleted'])
})

t.test('what autoscaling changes is no drift, and what else is at the same resource is', async t => {
  const { found } = await detection(t, { drifts: [drift('Alias', 'AWS::Lambda::Alias', 'MODIFIED', ['/ProvisionedConcurrencyConfig/ProvisionedConcurrentExecutions'])] })
  t.strictSame(await found, [])
  const other = await detection(t, { drifts: [drift('Alias', 'AWS::Lambda::Alias', 'MODIFIED', ['/ProvisionedConcurrencyConfig/ProvisionedConcurrentExecutions', '/FunctionVersion'])] })
  t.strictSame(await other.found, ['Alias (AWS::Lambda::Alias) differs in /FunctionVersion'])
})

t.test('a stack with more resources than a call may name is compared in parts', async t => {
  const { calls, found } = await detection(t, { types: Array.from({ length: 201 }, (_, n): [string, string] => [`Queue${n}`, 'AWS::SQS::Queue']), drifts: [drift('Queue200', 'AWS::SQS::Queue', 'DELETED')] })
  t.strictSame(await found, ['Queue200 (AWS::SQS::Queue) is deleted'], 'each once')
  t.equal(calls.filter(({ Action }) => Action === 'DetectStackDrift').length, 2)
})

t.test('a comparison that fails or does not end is no success', async t => {
  await t.rejects((await detection(t, { statuses: ['DETECTION_FAILED'] })).found, new DriftError('Not every resource of user-service-prod could be compared: no permission to read Users'))
  await t.rejects((await detection(t, { statuses: ['DETECTION_IN_PROGRESS'], timeout: 20 })).found, new DriftError('The comparison of user-service-prod has not ended within 0 minutes'))
})
