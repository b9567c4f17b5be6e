import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LOCAL_ACCOUNT } from '../../local/aws.ts'
import { parseTemplate, readTemplate } from '../../local/template.ts'
import { BenchError } from './bench.ts'
import { ROOT } from './paths.ts'

interface Template {
  Parameters: Record<string, { Default?: string | number }>
  Globals: { Function: { Environment: { Variables: Record<string, unknown> } } }
  Resources: Record<string, { Type: string, Properties?: { Environment?: { Variables?: Record<string, unknown> } } }>
}

/** Parameters without a default, as a first deployment gives them. */
const PARAMETERS: Record<string, string> = { EmailFrom: 'users@example.com' }

/**
 * The variables that template.yaml gives the API function of a dev stack with default parameters: no domain, no cache.
 * Tables and queues have their logical ids as names.
 *
 * @throws {BenchError} when the template uses a function that this does not know
 */
export function functionEnv (queueUrl: (id: string) => string): Record<string, string> {
  const { buckets } = readTemplate()
  const { Parameters, Globals, Resources } = parseTemplate(readFileSync(join(ROOT, 'template.yaml'), 'utf8')) as unknown as Template

  function reference (variable: string, id: string): string {
    const parameter = Parameters[id]
    if (parameter !== undefined) return PARAMETERS[id] ?? String(parameter.Default ?? '')
    const type = Resources[id]?.Type
    if (type === 'AWS::SQS::Queue') return queueUrl(id)
    if (type === 'AWS::SecretsManager::Secret') return `arn:aws:secretsmanager:us-east-1:${LOCAL_ACCOUNT}:secret:${id}-AbCdEf`
    if (type === 'AWS::S3::Bucket') return buckets[variable]!
    return id
  }

  function value (variable: string, given: unknown): string {
    if (typeof given !== 'object' || given === null) return String(given)
    const { Ref, 'Fn::Sub': sub, 'Fn::If': branches } = given as { Ref?: string, 'Fn::Sub'?: string, 'Fn::If'?: [string, unknown, unknown] }
    if (Ref !== undefined) return reference(variable, Ref)
    if (typeof sub === 'string') return sub.replace(/\$\{(\w+)\}/g, (_, id: string) => reference(variable, id))
    // No condition holds in a stack with default parameters.
    if (branches !== undefined) return value(variable, branches[2])
    throw new BenchError(`${variable} of template.yaml cannot be read: bench/lib/function-env.ts does not know ${Object.keys(given).join()}`)
  }

  const variables = { ...Globals.Function.Environment.Variables, ...Resources['ApiFunction']?.Properties?.Environment?.Variables }
  return Object.fromEntries(Object.entries(variables).map(([name, given]) => [name, value(name, given)]))
}
