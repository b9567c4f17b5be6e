import { LOCAL_ACCOUNT } from '../../local/aws.ts'
import { readTemplate } from '../../local/template.ts'
import { evaluate, loadTemplate, textOf } from '../../test/template/evaluate.ts'
import { BenchError } from './bench.ts'

/** What a first deployment gives: the parameters without a default, and CloudFormation's own. */
const PARAMETERS: Record<string, string> = { EmailFrom: 'users@example.com' }
const OWN: Record<string, string> = { 'AWS::StackName': 'user-service', 'AWS::Region': 'us-east-1', 'AWS::AccountId': LOCAL_ACCOUNT, 'AWS::Partition': 'aws' }

/**
 * The variables that template.yaml gives the API function of a dev stack with default parameters: no domain, no cache.
 * Tables and queues have their logical ids as names.
 *
 * @throws {BenchError} when the template uses a function that this does not know
 */
export function functionEnv (queueUrl: (id: string) => string): Record<string, string> {
  const { buckets } = readTemplate()
  const template = loadTemplate()
  const shared = template.Globals?.['Function'].Environment.Variables as Record<string, unknown>
  const own = template.Resources['ApiFunction']!.Properties['Environment'].Variables as Record<string, unknown>
  // Only resources are evaluated, so the variables stand in for one.
  const { Resources } = evaluate({ ...template, Resources: { Variables: { Type: 'Variables', Properties: { ...shared, ...own } } }, Outputs: {} }, PARAMETERS)

  /** what a Ref to a resource gives */
  function reference (id: string, { Type }: { Type: string }): string {
    if (Type === 'AWS::SQS::Queue') return queueUrl(id)
    if (Type === 'AWS::SecretsManager::Secret') return `arn:aws:secretsmanager:us-east-1:${LOCAL_ACCOUNT}:secret:${id}-AbCdEf`
    return id
  }
  const names = {
    ...OWN,
    ...Object.fromEntries(Object.entries(template.Parameters).map(([name, { Default = '' }]) => [name, PARAMETERS[name] ?? String(Default)])),
    ...Object.fromEntries(Object.entries(template.Resources).map(([id, resource]) => [id, reference(id, resource)]))
  }
  const variables = Object.entries(Resources['Variables']!.Properties).map(([name, value]) => {
    try {
      return [name, typeof value === 'object' ? textOf(value, names) : String(value)]
    } catch (error) {
      throw new BenchError(`${name} of template.yaml cannot be read: ${(error as Error).message}`)
    }
  })
  return { ...Object.fromEntries(variables) as Record<string, string>, ...buckets }
}
