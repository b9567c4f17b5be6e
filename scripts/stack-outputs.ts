import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { UsageError } from './command.ts'
import { findStack } from './stack.ts'

/** The outputs of a stack. Throws a UsageError when there is no such stack, or it lacks one of the names. */
export async function outputsOf<Name extends string> (stack: string, names: readonly Name[]): Promise<Record<Name, string>> {
  const client = new CloudFormationClient({})
  try {
    const found = await findStack(client, stack)
    if (found === undefined) throw new UsageError(`There is no stack ${stack} in this account and region`)
    const missing = names.filter(name => found.outputs[name] === undefined)
    if (missing.length > 0) throw new UsageError(`The stack ${stack} has no output ${missing.join(', ')}: is it a stack of template.yaml, and deployed?`)
    return found.outputs as Record<Name, string>
  } finally {
    client.destroy()
  }
}
