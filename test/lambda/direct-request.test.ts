import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { BODY, count, sameAsNode, served, type Handler } from './node-way.ts'

/** All of a body, read by a `for await`. */
async function bodyOf (request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const REQUESTS: Record<string, Handler> = {
  'what it says of itself': async (request, response, seen) => {
    const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, trailers } = request
    seen['head'] = { method, url, httpVersion, httpVersionMajor, httpVersionMinor, trailers: { ...trailers }, address: request.socket.remoteAddress }
    seen['headers'] = Object.entries(request.headers).filter(([name]) => name !== 'connection').sort()
    const raw = request.rawHeaders
    seen['rawHeaders'] = raw.filter((_, i) => raw[i - i % 2]!.toLowerCase() !== 'connection')
    seen['body'] = await bodyOf(request)
    seen['read'] = { complete: request.complete, aborted: request.aborted, readableEnded: request.readableEnded }
    response.end()
  },
  'its events': (request, response, seen) => {
    count(request, ['end', 'error', 'aborted'], seen)
    request.on('end', () => response.end('x')).resume()
  },
  'its body as text': async (request, response) => {
    request.setEncoding('base64')
    const chunks: string[] = []
    for await (const chunk of request) chunks.push(String(chunk))
    response.end(chunks.join(''))
  },
  'its body into the response': (request, response) => { request.pipe(response) },
  'its destruction after its body': async (request, response, seen) => {
    await bodyOf(request)
    seen['itself'] = request.destroy() === request
    response.end('an answer all the same')
  },
  'its destruction before': (request, response, seen) => {
    count(response, ['close', 'finish'], seen)
    count(request, ['close', 'end'], seen)
    request.destroy()
    seen['destroyed'] = request.destroyed
  },
  'its destruction with an error': (request, _response, seen) => {
    request.on('error', error => { seen['error'] = error.message })
    request.destroy(new Error('why'))
  },
  'its destruction with an error that nobody listens for': (request, _response, seen) => {
    count(request, ['close'], seen)
    request.destroy(new Error('why'))
  }
}

t.test('a request does what Node\'s does', async t => { await sameAsNode(t, REQUESTS) })

t.test('a request whose body has been read stays open', async t => {
  // Fastify takes a closed one for a client that has gone.
  const { body } = await served((request, response) => {
    request.resume().on('end', () => setImmediate(() => response.end(String(request.destroyed))))
  }, { method: 'POST', body: BODY })
  t.equal(body, 'false')
})

t.test('a header that is undefined is none', async t => {
  const { body } = await served((request, response) => { response.end(request.rawHeaders.join()) }, { headers: { 'x-a': 'a', 'x-b': undefined, 'x-c': ['b', 'c'] } })
  t.equal(body, 'x-a,a,x-c,b,x-c,c')
})
