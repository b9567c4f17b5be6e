import type { Context } from 'aws-lambda'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { httpEvent, overLambda, restEvent, type WireRequest } from './transports.ts'

// Stands for API Gateway, for a client that speaks HTTP (.ci/fuzz): each request becomes an event for the built function.
//
//   node --env-file=.local/env test/lambda/gateway.ts DIRECTORY rest|http
//
// The client's address is the one in X-Forwarded-For, so that one client can stand for many.

const [directory, api] = process.argv.slice(2)
const { handler } = await import(pathToFileURL(`${directory}/index.mjs`).href) as { handler: (event: unknown, context: Context) => Promise<unknown> }

const server = createServer(async (request, response) => {
  try {
    const body = await buffer(request)
    const pairs = request.rawHeaders.flatMap((name, i, all) => i % 2 === 0 ? [[name, all[i + 1]!] as [string, string]] : [])
    const from = pairs.find(([name]) => name.toLowerCase() === 'x-forwarded-for')?.[1] ?? '127.0.0.1'
    const wire: WireRequest = {
      method: request.method!,
      target: request.url!,
      headers: pairs.filter(([name]) => !['x-forwarded-for', 'host', 'content-length', 'connection', 'transfer-encoding'].includes(name.toLowerCase())),
      ...(body.length === 0 ? {} : { body })
    }
    const toEvent = (wire: WireRequest) => {
      if (api === 'http') {
        const event = httpEvent(wire) as { requestContext: { http: { sourceIp: string } } }
        event.requestContext.http.sourceIp = from
        return event
      }
      const event = restEvent(wire)
      event.requestContext.identity.sourceIp = from
      return event
    }
    // AWS passes events and answers on as JSON.
    const invoke = async (event: unknown) => JSON.parse(JSON.stringify(await handler(JSON.parse(JSON.stringify(event)), {} as Context))) as unknown
    const answer = await overLambda(invoke, toEvent)(wire)
    response.writeHead(answer.status, { ...answer.headers, ...(answer.cookies.length === 0 ? {} : { 'set-cookie': answer.cookies }) })
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  } catch (error) {
    // What API Gateway answers when the function fails.
    console.error(error)
    response.writeHead(502).end()
  }
})
server.listen(0, '127.0.0.1', () => { console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) })
