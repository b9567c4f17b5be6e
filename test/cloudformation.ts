import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

/** The parameters of a call, as CloudFormation's query protocol sends them. */
export type Call = Record<string, string>

export interface CloudFormation {
  endpoint: string
  /** every call, in order */
  calls: Call[]
}

/** Answers a call itself: the content of the result, or a status of a stack that is put into moto's answer. */
export type Answers = Record<string, (call: Call) => string | undefined>

/**
 * moto's CloudFormation, with the calls that moto does not know answered here: termination protection, and the detection of drift. An
 * answer for DescribeStacks is put over what moto says about a stack, since moto cannot fail. moto forgets the outputs of a stack that was
 * made by a change set; an update with the same template brings them back.
 */
export async function startCloudFormation (t: Test, moto: string, answers: Answers = {}): Promise<CloudFormation> {
  const calls: Call[] = []
  const isProtected = new Set<string>()
  const changeSets = new Map<string, string>()
  const own: Answers = {
    UpdateTerminationProtection: ({ StackName, EnableTerminationProtection }) => {
      if (EnableTerminationProtection === 'true') isProtected.add(StackName!)
      return `<StackId>${StackName}</StackId>`
    },
    ...answers
  }

  async function answer (request: IncomingMessage): Promise<{ status: number, body: string }> {
    const body = await text(request)
    const call = Object.fromEntries(new URLSearchParams(body))
    const { Action = '', StackName = '' } = call
    if (Action !== '') calls.push(call)
    const given = Action === 'DescribeStacks' ? undefined : own[Action]?.(call)
    if (given !== undefined) return { status: 200, body: `<${Action}Response><${Action}Result>${given}</${Action}Result></${Action}Response>` }
    const response = await fetch(moto + request.url!, { method: request.method!, headers: { ...request.headers as Record<string, string>, host: new URL(moto).host }, body: body === '' ? null : body })
    let passed = await response.text()
    if (Action === 'CreateChangeSet') changeSets.set(call['ChangeSetName']!, body)
    if (Action === 'ExecuteChangeSet' && response.ok) {
      const [, made] = [...changeSets].find(([name]) => call['ChangeSetName'] === name || call['ChangeSetName']!.includes(`/${name}/`))!
      const update = new URLSearchParams(made)
      update.set('Action', 'UpdateStack')
      update.set('TemplateBody', `${update.get('TemplateBody')}\n# again\n`)
      const { 'content-length': _, ...headers } = request.headers as Record<string, string>
      const updated = await fetch(moto, { method: 'POST', headers: { ...headers, host: new URL(moto).host }, body: update })
      if (!updated.ok) return { status: updated.status, body: await updated.text() }
    }
    if (Action === 'DescribeStacks') {
      const status = own[Action]?.(call)
      if (status !== undefined) passed = passed.replace(/<StackStatus>\w+<\/StackStatus>/, `<StackStatus>${status}</StackStatus>`)
      if (isProtected.has(StackName)) passed = passed.replace(/<EnableTerminationProtection>\w+<\/EnableTerminationProtection>/, '').replace('</StackStatus>', '</StackStatus><EnableTerminationProtection>true</EnableTerminationProtection>')
    }
    return { status: response.status, body: passed }
  }

  const server = createServer((request, response) => {
    answer(request).then(({ status, body }) => { response.writeHead(status, { 'content-type': 'text/xml' }).end(body) }, (error: Error) => { response.writeHead(500).end(error.message) })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}
