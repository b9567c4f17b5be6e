import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { App } from '../../src/app.ts'
import { createDirect } from '../../src/lambda/direct.ts'
import type { AppRequest } from '../../src/lambda/serve.ts'

/** What a handler sees, under names of its own. */
export type Seen = Record<string, unknown>
export type Handler = (request: IncomingMessage, response: ServerResponse, seen: Seen) => unknown

const HEADERS = { 'content-type': 'text/plain', 'x-a': 'a', 'x-b': 'b' }
export const BODY = Buffer.from('the body of the request')
export const ADDRESS = '127.0.0.1'
const OF_THE_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'content-length']

export const turn = () => new Promise(setImmediate)
const withoutConnection = (headers: object) => Object.fromEntries(Object.entries(headers)
  .filter(([name]) => !OF_THE_CONNECTION.includes(name))
  .map(([name, value]) => [name, name === 'date' ? Math.abs(Date.parse(String(value)) - Date.now()) < 5000 : [value].flat().map(String).join(',').replaceAll(', ', ',')]))

/** The answer and what the handler saw, once the response has closed. */
async function over (answerOf: (handler: (request: IncomingMessage, response: ServerResponse) => void) => Promise<object>, handler: Handler): Promise<{ answer: unknown, seen: Seen }> {
  const seen: Seen = {}
  let last = (): object => ({})
  const closed = Promise.withResolvers<void>()
  const answer = await answerOf((request, response) => {
    response.on('close', closed.resolve)
    last = () => stateOf(response)
    void handler(request, response, seen)
  }).catch(() => 'none')
  await closed.promise
  for (let i = 0; i < 5; i++) await turn()
  return { answer, seen: { ...seen, last: last() } }
}

/** Through `createDirect`. */
function overDirect (method: string, handler: Handler) {
  return over(async routing => {
    const serve = createDirect({ ready: async () => {}, routing } as unknown as App)
    const { statusCode, headers, multiValueHeaders, body, isBase64Encoded } = await serve({ method, target: '/a?b=c', headers: { host: 'a', ...HEADERS, 'content-length': String(BODY.length) }, body: BODY, address: ADDRESS, isV2: false })
    return { status: statusCode, headers: withoutConnection({ ...headers, ...multiValueHeaders }), body: Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8').toString('latin1') }
  }, handler)
}

/** Over the socket of Node's server. */
function overNode (method: string, handler: Handler) {
  return over(async listener => {
    const server = createServer(listener)
    await new Promise<void>(resolve => { server.listen(0, ADDRESS, resolve) })
    try {
      const answered = Promise.withResolvers<IncomingMessage>()
      httpRequest({ port: (server.address() as AddressInfo).port, method, path: '/a?b=c', headers: { host: 'a', ...HEADERS, 'content-length': BODY.length }, agent: false })
        .on('response', answered.resolve)
        .on('error', answered.reject)
        .end(BODY)
      const incoming = await answered.promise
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk)
      return { status: incoming.statusCode, headers: withoutConnection(incoming.headers), body: Buffer.concat(chunks).toString('latin1') }
    } finally {
      server.close()
      server.closeAllConnections()
    }
  }, handler)
}

export const codeOf = (error: unknown) => (error as NodeJS.ErrnoException | null | undefined)?.code ?? null
/** The code of the error that is thrown. */
export const thrown = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    return codeOf(error)
  }
  return 'nothing'
}
/** Counts the events of a stream. */
export const count = (stream: IncomingMessage | ServerResponse, names: string[], seen: Seen) => {
  for (const name of names) {
    seen[name] = 0
    stream.on(name, () => { seen[name] = Number(seen[name]) + 1 })
  }
}
export const stateOf = ({ headersSent, writableEnded, writableFinished, destroyed, closed }: ServerResponse) => ({ headersSent, writableEnded, writableFinished, destroyed, closed })

/** Each handler sees the same, and has the same answer, with the direct request and response as with Node's own. */
export async function sameAsNode (t: Test, handlers: Record<string, Handler>) {
  for (const [name, handler] of Object.entries(handlers)) {
    for (const method of name.startsWith('a body') ? ['POST', 'HEAD'] : ['POST']) {
      t.strictSame(await overDirect(method, handler), await overNode(method, handler), `${name}, ${method}`)
    }
  }
}

/** A request that is served by a handler alone. */
export function served (handler: (request: IncomingMessage, response: ServerResponse) => void, given: Partial<AppRequest> = {}) {
  return createDirect({ ready: async () => {}, routing: handler } as unknown as App)({ method: 'GET', target: '/', headers: {}, body: null, address: ADDRESS, isV2: false, ...given })
}
