import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { inBatches } from '../../src/shared/batches.ts'

/** A server, and clients that have an open connection and have had one answer. A write of theirs is at the server at once. */
async function openClients (t: Test, count: number, listener: RequestListener): Promise<Socket[]> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const clients = Array.from({ length: count }, () => connect((server.address() as AddressInfo).port, '127.0.0.1'))
  for (const client of clients) {
    client.write(requestOf('/first'))
    await once(client, 'data')
  }
  return clients
}

const requestOf = (path: string, body = '') => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** A handler that notes when it starts, and when it goes on after a promise. */
function noted () {
  const notes: string[] = []
  const handle: RequestListener = async ({ url }, response) => {
    notes.push(`${url} starts`)
    await Promise.resolve()
    notes.push(`${url} goes on`)
    response.end('x')
  }
  return { notes, handle }
}

t.test('requests that arrive together are handled together, one step of all after the other', async t => {
  const { notes, handle } = noted()
  const clients = await openClients(t, 3, inBatches(handle))
  notes.length = 0
  const answers = clients.map(client => once(client, 'data'))
  for (const [i, client] of clients.entries()) client.write(requestOf(`/${i}`))
  await Promise.all(answers)
  t.same(notes.map(note => note.slice(3)), ['starts', 'starts', 'starts', 'goes on', 'goes on', 'goes on'])
  t.same(notes.map(note => note[1]).toSorted(), ['0', '0', '1', '1', '2', '2'])

  const plain = noted()
  const others = await openClients(t, 3, plain.handle)
  plain.notes.length = 0
  const plainAnswers = others.map(client => once(client, 'data'))
  for (const [i, client] of others.entries()) client.write(requestOf(`/${i}`))
  await Promise.all(plainAnswers)
  t.match(plain.notes.slice(0, 2), [/starts/, /goes on/], 'without batches, one request after the other')
})

t.test('a body that has arrived with the request is read as usual', async t => {
  const bodies: string[] = []
  const [client] = await openClients(t, 1, inBatches(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    bodies.push(body)
    response.end('x')
  }))
  const answer = once(client!, 'data')
  client!.write(requestOf('/', 'whole'))
  await answer
  client!.write(requestOf('/', 'in parts').slice(0, -3))
  await new Promise(resolve => setImmediate(resolve))
  client!.write('rts')
  await once(client!, 'data')
  t.same(bodies, ['', 'whole', 'in parts'])
})
