import type { TestApp } from '../../helper.ts'

/** Records the names of the DynamoDB and SQS commands an app sends, in order, until stopped. */
export function recordCalls (app: TestApp): { stop (): string[] } {
  const names: string[] = []
  const stacks = [app.dynamodb.middlewareStack, app.sqs.middlewareStack] as unknown as typeof app.dynamodb.middlewareStack[]
  for (const stack of stacks) {
    stack.add((next, context) => async (args) => {
      names.push(String(context['commandName']))
      return await next(args)
    }, { step: 'initialize', name: 'recordCalls', override: true })
  }
  return {
    stop () {
      for (const stack of stacks) stack.remove('recordCalls')
      return names
    }
  }
}
