import { DescribeStacksCommand, type CloudFormationClient, type Stack } from '@aws-sdk/client-cloudformation'
import { lookup } from 'node:dns/promises'

/** PublicUrl of a stage that does not know its address yet; the default of the template. */
const NO_ADDRESS = 'https://public-url.invalid'

/** Whether a host name has an address. */
const isHost = async (host: string): Promise<boolean> => await lookup(host).then(() => true, () => false)

export interface FoundStack {
  status: string
  /** why it has this status, if CloudFormation says so */
  reason: string
  outputs: Record<string, string>
  isProtected: boolean
}

/** A stack, or `undefined` where there is none of this name, or none yet: a change set that waits for its execution is no stack. */
export async function findStack (cloudformation: CloudFormationClient, name: string): Promise<FoundStack | undefined> {
  let stack: Stack | undefined
  try {
    stack = (await cloudformation.send(new DescribeStacksCommand({ StackName: name }))).Stacks?.[0]
  } catch (error) {
    // CloudFormation has no error of its own for a stack that does not exist.
    if (error instanceof Error && error.name === 'ValidationError' && error.message.includes('does not exist')) return undefined
    throw error
  }
  if (stack === undefined || stack.StackStatus === 'REVIEW_IN_PROGRESS') return undefined
  return {
    status: stack.StackStatus!,
    reason: stack.StackStatusReason ?? '',
    outputs: Object.fromEntries((stack.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey!, OutputValue!])),
    isProtected: stack.EnableTerminationProtection === true
  }
}

/** Where a stack is reached: at its public URL, or at the address of its API while it has none. */
export const addressOf = ({ outputs: { PublicUrl = NO_ADDRESS, ApiUrl = PublicUrl } }: FoundStack): string => PublicUrl === NO_ADDRESS ? ApiUrl : PublicUrl

/** What is missing until a stack can be reached, in one line; `undefined` when nothing is. With a domain, its API has no other address. */
export async function missingRecord (stack: FoundStack, resolves = isHost): Promise<string | undefined> {
  const { hostname } = new URL(addressOf(stack))
  const target = stack.outputs['DomainTarget']
  return target === undefined || await resolves(hostname) ? undefined : `${hostname} has no address yet: make it a CNAME of ${target}`
}
