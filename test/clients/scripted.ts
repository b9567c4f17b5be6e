import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from '../engines.ts'

/** What a scripted server does with one request. `drop` closes the connection without an answer. */
export type Step = 'drop' | 'wait' | { status: number, headers?: Record<string, string>, body?: object | string }

export interface Received { method: string, path: string, headers: IncomingHttpHeaders, body: string, at: number }

/** A server that answers its requests in order, one step each, and keeps what it received. */
export async function startScripted (t: Test, steps: Step[]) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const step = steps[received.length]
    const entry: Received = { method: request.method!, path: request.url!, headers: request.headers, body: '', at: performance.now() }
    received.push(entry)
    for await (const chunk of request) entry.body += String(chunk)
    if (step === 'wait') return
    if (step === undefined || step === 'drop') return request.socket.destroy()
    const { status, headers = {}, body = '' } = step
    const type = typeof body === 'string' ? 'text/html' : status < 400 ? 'application/json' : 'application/problem+json'
    response.writeHead(status, { ...(body === '' ? {} : { 'content-type': type }), ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

export const problem = (status: number, code: string, headers: Record<string, string> = {}): Step => ({
  status,
  headers: { 'x-correlation-id': 'abc-1', ...headers },
  body: { type: `urn:user-service:problem:${code.toLowerCase()}`, title: 'Title', status, detail: 'What is wrong', instance: '/v2/users', code, correlationId: 'abc-1' }
})
