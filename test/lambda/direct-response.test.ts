import Fastify from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished, PassThrough, Readable } from 'node:stream'
import { finished as finishedOf, pipeline } from 'node:stream/promises'
import t from 'tap'
import type { App } from '../../src/app.ts'
import { createDirect } from '../../src/lambda/direct.ts'
import { ADDRESS, codeOf, count, sameAsNode, served, stateOf, thrown, turn, type Handler } from './node-way.ts'

const RESPONSES: Record<string, Handler> = {
  'parts, with what write returns and calls': (_request, response, seen) => {
    seen['without'] = response.write('a')
    seen['with'] = response.write('b', () => { seen['called'] = true })
    seen['encoded'] = response.write('c', 'utf8', () => {
      seen['calledToo'] = true
      response.end('d')
    })
  },
  'the end alone, with a callback': (_request, response, seen) => { response.end(() => { seen['called'] = true }) },
  'the end with text and a callback': (_request, response, seen) => { response.end('text', () => { seen['called'] = true }) },
  'the end with text, an encoding and a callback': (_request, response, seen) => { response.end('c3a9', 'hex', () => { seen['called'] = true }) },
  'its events and its state': (_request, response, seen) => {
    count(response, ['finish', 'close', 'error'], seen)
    seen['before'] = stateOf(response)
    response.write('x')
    seen['between'] = stateOf(response)
    response.on('finish', () => { seen['isFinished'] = response.writableFinished })
    response.on('close', () => { seen['after'] = stateOf(response) })
    response.end()
  },
  'who waits for its end later': (_request, response, seen) => {
    response.on('close', () => setImmediate(() => finished(response, error => { seen['end'] = codeOf(error) })))
    response.end('x')
  },
  'who waits for its end': (_request, response, seen) => {
    finished(response, error => { seen['end'] = codeOf(error) })
    response.end('x')
  },
  'a pipeline': async (_request, response, seen) => {
    await pipeline(Readable.from([Buffer.from('a'), 'b', 'c'.repeat(100_000)]), response)
    seen['end'] = true
  },
  'a pipe of parts that come late': (_request, response) => {
    const source = new PassThrough()
    source.pipe(response)
    source.write('a')
    setImmediate(() => source.end('b'))
  },
  'bytes that are used again': (_request, response) => {
    const bytes = Buffer.from('first')
    response.write(bytes, () => {
      bytes.fill('-')
      response.end(bytes)
    })
  },
  'a Uint8Array': (_request, response) => { response.setHeader('content-type', 'image/png').end(new Uint8Array([0x61, 0xff, 0x62])) },
  ...Object.fromEntries(['utf8', 'utf-8', 'UTF8', 'latin1', 'ascii', 'base64', 'hex', 'utf16le', undefined, null].map(encoding => [`a text in ${encoding}`, (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('content-type', 'application/octet-stream')
    response.write('c3a9', encoding as BufferEncoding)
    response.end('\u00e9', encoding as BufferEncoding)
  }])),
  ...Object.fromEntries([200, 204, 304, 404].map(status => [`a body of a ${status}`, (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status)
    response.write('not ')
    response.end('sent')
  }])),
  'only a status': (_request, response) => { response.writeHead(201).end() },
  'a status and its words': (_request, response) => { response.writeHead(201, 'Made').end() },
  'a status and no headers': (_request, response) => { response.writeHead(201, undefined).end('x') },
  'a status and null': (_request, response) => { response.writeHead(201, null as never).end('x') },
  'given headers': (_request, response) => { response.writeHead(200, { 'X-A': 'a', 'x-list': ['a', 'b'], 'set-cookie': ['a=1', 'b=2'], 'x-number': 5 }).end('x') },
  'given headers, after others': (_request, response) => {
    response.setHeader('X-A', 'a')
    response.setHeader('x-b', 'b')
    response.writeHead(200, 'Fine', { 'x-a': 'c', 'set-cookie': ['a=1', 'b=2'] }).end('x')
  },
  'a list of headers': (_request, response) => { response.writeHead(200, ['X-A', 'a', 'x-a', 'b', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end('x') },
  'a list of headers, after others': (_request, response) => {
    for (const name of ['x', 'X-A', 'x-b']) response.setHeader(name, 'set')
    response.writeHead(200, ['x-a', 'a', 'X-A', 'b']).end('x')
  },
  'one cookie': (_request, response) => { response.writeHead(200, { 'set-cookie': 'a=1' }).end('x') },
  'a list of one cookie': (_request, response) => { response.setHeader('set-cookie', ['a=1']).end('x') },
  'a date of its own': (_request, response) => { response.setHeader('date', 'Thu, 01 Jan 2026 00:00:00 GMT').end('x') },
  'no date': (_request, response) => {
    response.sendDate = false
    response.end('x')
  },
  'headers that cannot be sent': (_request, response, seen) => {
    seen['set'] = thrown(() => response.setHeader('x-a', 'a\nb'))
    seen['name'] = thrown(() => response.setHeader('x a', 'a'))
    seen['given'] = thrown(() => response.writeHead(200, { 'x-a': 'a\nb' }))
    seen['half'] = thrown(() => response.writeHead(200, ['x-a']))
    seen['status'] = thrown(() => response.writeHead(99))
    response.end('x')
    seen['late'] = thrown(() => response.setHeader('x-a', 'a'))
    seen['again'] = thrown(() => response.writeHead(200))
  },
  'hints that cannot be sent': (_request, response, seen) => {
    seen['text'] = thrown(() => response.writeEarlyHints('text' as never))
    seen['link'] = thrown(() => response.writeEarlyHints({ link: 'no link' }))
    response.end('x')
  },
  'hints, with and without a callback': (_request, response, seen) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeEarlyHints({ link: '</b.css>; rel=preload' }, () => {
      seen['called'] = true
      response.end('x')
    })
  },
  'nothing of null, and no other type': (_request, response, seen) => {
    seen['number'] = thrown(() => response.write(5 as never))
    seen['end'] = thrown(() => response.end(5 as never))
    response.end('x')
  },
  'its end, and what is written then': (_request, response, seen) => {
    response.on('finish', () => {
      seen['returned'] = response.write('more', error => { seen['error'] = codeOf(error) })
      response.end('more', (error?: Error) => { seen['end'] = codeOf(error) })
    })
    response.on('error', error => { seen['event'] = codeOf(error) })
    response.end('x')
  },
  'its end, and what is written much later': (_request, response, seen) => {
    count(response, ['error'], seen)
    response.on('close', () => { seen['returned'] = response.write('more', error => { seen['error'] = codeOf(error) }) })
    response.end('x')
  },
  'its end, and a destruction then': (_request, response, seen) => {
    count(response, ['error', 'close', 'finish'], seen)
    response.on('close', () => {
      seen['itself'] = response.destroy(new Error('late')) === response
      response.destroy()
    })
    response.end('x')
  },
  'its end, and a destruction at once': (_request, response, seen) => {
    count(response, ['error', 'close', 'finish'], seen)
    response.on('finish', () => response.destroy())
    response.end('x')
  },
  'its destruction': (_request, response, seen) => {
    count(response, ['close', 'finish', 'error'], seen)
    response.write('x')
    seen['itself'] = response.destroy() === response
    seen['state'] = stateOf(response)
    response.on('close', () => { seen['after'] = stateOf(response) })
  },
  'its destruction, twice': (_request, response, seen) => {
    count(response, ['close'], seen)
    response.destroy(new Error('first'))
    response.destroy(new Error('second'))
  },
  'its destruction, and who waits for its end': async (_request, response, seen) => {
    const end = finishedOf(response)
    response.write('x')
    response.destroy()
    seen['end'] = codeOf(await end.catch((error: unknown) => error))
  },
  'its destruction, and what is written then': (_request, response, seen) => {
    count(response, ['finish', 'error'], seen)
    response.destroy()
    seen['returned'] = response.write('x', error => { seen['error'] = codeOf(error) })
    response.end('x', () => { seen['end'] = true })
  }
}

t.test('a response does what Node\'s does', async t => { await sameAsNode(t, RESPONSES) })

t.test('without an answer there is the reason', async t => {
  const why = new Error('why')
  await t.rejects(served((_request, response) => { response.destroy(why) }), why)
  await t.rejects(served((_request, response) => { response.destroy() }), { message: 'The response was destroyed before its end' })
  await t.rejects(served(request => { request.destroy(why) }), why)
  await t.rejects(served(request => { request.destroy() }), { message: 'The response was destroyed before its end' })
})

t.test('an answer that HTTP sends before another one has no body', async t => {
  const { statusCode, body } = await served((_request, response) => { response.writeHead(103).end('x') })
  t.same([statusCode, body], [103, ''])
})

t.test('headers of the connection are not part of an answer', async t => {
  const { headers } = await served((_request, response) => { response.writeHead(200, { Connection: 'close', 'Keep-Alive': 'timeout=5', 'Transfer-Encoding': 'chunked', 'X-A': 'a' }).end('x') })
  t.same(Object.keys(headers!).sort(), ['date', 'x-a'])
})

t.test('cookies are where the event\'s source reads them', async t => {
  const cookiesOf = async (value: string | string[], isV2: boolean) => {
    const { headers, multiValueHeaders, cookies } = await served((_request, response) => { response.setHeader('set-cookie', value).end() }, { isV2 })
    return [headers!['set-cookie'], multiValueHeaders, cookies]
  }
  t.strictSame(await cookiesOf('a=1', false), ['a=1', undefined, undefined])
  t.strictSame(await cookiesOf(['a=1'], false), [undefined, { 'set-cookie': ['a=1'] }, undefined])
  t.strictSame(await cookiesOf('a=1', true), [undefined, undefined, ['a=1']])
  t.strictSame(await cookiesOf(['a=1', 'b=2'], true), [undefined, undefined, ['a=1', 'b=2']])
})

t.test('hooks that run after an answer run when a response fails, as through `inject`', async t => {
  const app = Fastify() as unknown as App
  t.teardown(() => app.close())
  let responses = 0
  app.addHook('onResponse', async () => { responses++ })
  app.get('/with', (_request, reply) => { reply.raw.destroy(new Error('why')) })
  app.get('/without', (_request, reply) => { reply.raw.destroy() })
  const serve = createDirect(app)
  const directly = (target: string): Promise<unknown> => serve({ method: 'GET', target, headers: {}, body: null, address: ADDRESS, isV2: false })
  for (const send of [directly, async (target: string) => await app.inject({ url: target })]) {
    for (const [target, expected] of [['/with', 1], ['/without', 0]] as const) {
      responses = 0
      await t.rejects(send(target))
      for (let i = 0; i < 5; i++) await turn()
      t.equal(responses, expected, target)
    }
  }
})
