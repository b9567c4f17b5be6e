import {
  CloudFormationClient, DescribeStackDriftDetectionStatusCommand, DescribeStackResourceDriftsCommand, DetectStackDriftCommand, paginateListStackResources,
  type StackResourceDrift
} from '@aws-sdk/client-cloudformation'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorLine } from './error-line.ts'
import { readArguments, refuse } from './options.ts'
import { findStack } from './stack.ts'
import { readStage, STAGES } from './stage.ts'

/** Resource types that are not compared, by the reason. */
const LEFT_OUT: Record<string, string> = {
  'AWS::SecretsManager::Secret': 'reading one needs the permission to read its value'
}

/** Differences that are made on purpose by others than CloudFormation, by resource type and path of the property. */
const EXPECTED: [type: string, path: RegExp, reason: string][] = [
  ['AWS::Lambda::Alias', /^\/ProvisionedConcurrencyConfig\b/, 'autoscaling moves it between ProvisionedMinimum and ProvisionedMaximum']
]

/** CloudFormation compares at most so many resources in a call that names them. */
const BATCH = 200

/** Why drift cannot be looked for, in one line. */
export class DriftError extends Error {}

export interface DriftOptions {
  cloudformation: CloudFormationClient
  stack: string
  print: (line: string) => void
  /** milliseconds between two looks at a detection that is running */
  interval?: number
  /** milliseconds until a detection must have ended */
  timeout?: number
}

/** What differs from the template, one line for each resource. */
function linesOf ({ LogicalResourceId: id, ResourceType: type, StackResourceDriftStatus: status, PropertyDifferences: differences = [] }: StackResourceDrift): string[] {
  if (status === 'DELETED') return [`${id} (${type}) is deleted`]
  if (status !== 'MODIFIED') return []
  const unexpected = differences.filter(({ PropertyPath }) => !EXPECTED.some(([expected, path]) => expected === type && path.test(PropertyPath ?? '')))
  // Values stay out of logs: they may be addresses or policies.
  return unexpected.length === 0 ? [] : [`${id} (${type}) differs in ${unexpected.map(({ PropertyPath }) => PropertyPath).join(', ')}`]
}

/**
 * Compares the resources of a stack with its template.
 *
 * @returns what differs, one line for each resource
 * @throws DriftError when a detection fails or does not end: what was not compared may differ
 */
export async function findDrift ({ cloudformation, stack, print, interval = 5000, timeout = 900_000 }: DriftOptions): Promise<string[]> {
  const ids: string[] = []
  for await (const { StackResourceSummaries = [] } of paginateListStackResources({ client: cloudformation }, { StackName: stack })) {
    ids.push(...StackResourceSummaries.filter(({ ResourceType }) => !(ResourceType! in LEFT_OUT)).map(({ LogicalResourceId }) => LogicalResourceId!))
  }
  print(`comparing ${ids.length} resources of ${stack} with its template, which takes a few minutes`)
  const end = Date.now() + timeout
  const lines: string[] = []
  for (let from = 0; from < ids.length; from += BATCH) {
    const batch = ids.slice(from, from + BATCH)
    const { StackDriftDetectionId } = await cloudformation.send(new DetectStackDriftCommand({ StackName: stack, LogicalResourceIds: batch }))
    for (;;) {
      const { DetectionStatus: status, DetectionStatusReason: reason } = await cloudformation.send(new DescribeStackDriftDetectionStatusCommand({ StackDriftDetectionId }))
      if (status === 'DETECTION_COMPLETE') break
      if (status === 'DETECTION_FAILED') throw new DriftError(`Not every resource of ${stack} could be compared: ${reason ?? 'CloudFormation gives no reason'}`)
      if (Date.now() > end) throw new DriftError(`The comparison of ${stack} has not ended within ${Math.round(timeout / 60_000)} minutes`)
      await sleep(interval)
    }
    let NextToken: string | undefined
    do {
      const page = await cloudformation.send(new DescribeStackResourceDriftsCommand({ StackName: stack, StackResourceDriftStatusFilters: ['MODIFIED', 'DELETED'], NextToken }))
      lines.push(...(page.StackResourceDrifts ?? []).filter(({ LogicalResourceId }) => batch.includes(LogicalResourceId!)).flatMap(linesOf))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
  }
  return lines
}

const HELP = `npm run drift -- ${STAGES.join('|')} [--if-deployed]: compares the resources of a stage's stack with its template, as CloudFormation
sees them, and ends with exit code 1 when something was changed by hand. Changes nothing. Secrets are not compared.

  --if-deployed  a stage that was never deployed is no failure
`

if (import.meta.main) {
  const { values, positionals: [stage = '', ...more] } = readArguments(HELP, { 'if-deployed': { type: 'boolean' } })
  if (!STAGES.includes(stage) || more.length > 0) refuse('Expected one stage', `npm run drift -- ${STAGES.join('|')} [--if-deployed]`)
  const { stack, region } = readStage(`${import.meta.dirname}/..`, stage)
  const cloudformation = new CloudFormationClient({ region })
  try {
    if (await findStack(cloudformation, stack) === undefined) {
      if (values['if-deployed'] !== true) throw new DriftError(`There is no stack ${stack} in ${region}`)
      console.log(`${stack} is not deployed yet`)
    } else {
      const lines = await findDrift({ cloudformation, stack, print: line => { console.log(line) } })
      for (const line of lines) console.error(line)
      if (lines.length > 0) throw new DriftError(`${stack} is not as its template says: docs/runbook.md#drift`)
      console.log('every one is as the template says')
    }
  } catch (error) {
    console.error(error instanceof DriftError ? error.message : errorLine(error))
    process.exitCode = 1
  }
}
