import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs'
import { progress, UsageError } from '../command.ts'
import { abortOnSignals } from '../signals.ts'
import { findStack } from '../stack.ts'
import type { Found } from './local.ts'

/** The outputs that name the logs of the functions which run the service. The second one is there where e-mail is extracted. */
const LOG_GROUPS = ['ApiLogGroup', 'EmailLogGroup']

/**
 * The lines in a stack's logs that mention an id, from a time on. It filters instead of starting a query of Logs Insights:
 * filtering costs nothing, and a query is charged for all that it reads.
 */
export async function readStackLogs (stack: string, id: string, startTime: number): Promise<Found> {
  let signal: AbortSignal | undefined
  const cloudformation = new CloudFormationClient({})
  const logs = new CloudWatchLogsClient({})
  const report = progress()
  try {
    const found = await findStack(cloudformation, stack)
    if (found === undefined) throw new UsageError(`There is no stack ${stack} in this account and region`)
    signal = abortOnSignals()
    const groups = LOG_GROUPS.flatMap(name => found.outputs[name] ?? [])
    if (groups.length === 0) throw new UsageError(`The stack ${stack} has no output ${LOG_GROUPS[0]!}: is it a stack of template.yaml, and deployed?`)
    const lines: string[] = []
    for (const logGroupName of groups) {
      // A quoted pattern is a text that the line contains. An id has no quotes.
      const pages = paginateFilterLogEvents({ client: logs }, { logGroupName, startTime, filterPattern: `"${id}"` }, { abortSignal: signal })
      for await (const { events = [] } of pages) {
        lines.push(...events.flatMap(({ message }) => message ?? []))
        report(`searching ${logGroupName}: ${lines.length} lines so far`)
      }
    }
    return { lines, place: groups.join(' and ') }
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error
  } finally {
    cloudformation.destroy()
    logs.destroy()
  }
}
