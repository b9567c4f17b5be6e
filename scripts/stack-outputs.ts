import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation'
import { UsageError } from './command.ts'

/** The outputs of a stack by their names. Throws a UsageError when there is no such stack, or it lacks one of the names. */
export async function outputsOf<Name extends string> (stack: string, names: readonly Name[]): Promise<Record<Name, string>> {
  const client = new CloudFormationClient({})
  try {
    const { Stacks: [found] = [] } = await client.send(new DescribeStacksCommand({ StackName: stack })).catch((error: Error) => {
      if (error.name === 'ValidationError') throw new UsageError(`There is no stack ${stack} in this account and region`)
      throw error
    })
    const outputs = Object.fromEntries((found?.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]))
    const missing = names.filter(name => outputs[name] === undefined)
    if (missing.length > 0) throw new UsageError(`The stack ${stack} has no output ${missing.join(', ')}: is it a stack of template.yaml?`)
    return outputs as Record<Name, string>
  } finally {
    client.destroy()
  }
}
