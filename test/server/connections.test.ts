import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { trackConnections } from '../../src/server/connections.ts'
import { until } from '../until.ts'

/** A server whose requests the test answers. */
async function start (t: Test) {
  const waiting: ServerResponse[] = []
  const server = createServer((_request, response) => { waiting.push(response) })
  const connections = trackConnections(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const { port } = server.address() as AddressInfo
  async function open (sent = '') {
    const accepted = once(server, 'connection')
    const socket = Object.assign(connect(port, '127.0.0.1'), { got: '' })
    socket.on('error', () => {})
    socket.setEncoding('utf8').on('data', text => { socket.got += String(text) })
    const [peer] = await accepted as [Socket]
    socket.write(sent)
    /** whether the server has closed it */
    const isClosed = () => peer.destroyed
    return Object.assign(socket, { isClosed })
  }
  /** The next request on a connection. */
  const next = async ({ localPort }: Socket) => await until(() => {
    const at = waiting.findIndex(({ req }) => req.socket.remotePort === localPort)
    return at === -1 ? undefined : waiting.splice(at, 1)[0]
  })
  return { connections, open, next }
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

t.test('connections that have carried a request are counted, until they are closed', async t => {
  const { connections, open, next } = await start(t)
  t.equal(connections.used(), 0)
  const unused = await open()
  t.equal(connections.used(), 0, 'one that was opened in advance')
  const used = await open(REQUEST)
  const response = await next(used)
  t.equal(connections.used(), 1)
  response.end()
  await until(() => used.got.includes('200 OK'))
  t.equal(connections.used(), 1, 'it may carry another one')
  used.destroy()
  await until(() => connections.used() === 0)
  unused.destroy()
})

t.test('connections without a running request are closed, and the others when their answer has been sent', async t => {
  const { connections, open, next } = await start(t)
  const [silent, half, running, answered] = [await open(), await open('GET / HTTP/1.1\r\nHos'), await open(REQUEST), await open(REQUEST)]
  const [first, second] = [await next(running), await next(answered)]
  // Two requests on one connection: the second waits for the answer to the first.
  running.write(REQUEST)
  const third = await next(running)
  const over = (response: ServerResponse, body: string) => once(response.end(body), 'close')
  const closed = () => [silent, half, answered, running].map(({ isClosed }) => isClosed())
  await over(second, 'done')
  connections.closeIdle()
  t.same(closed(), [true, true, true, false])

  await over(first, 'one')
  connections.closeIdle()
  t.same(closed(), [true, true, true, false], 'a request that is still running keeps its connection')
  await over(third, 'two')
  await until(() => running.got.endsWith('two'))
  t.match(running.got, /one[^]*two$/)
  connections.closeIdle()
  t.same(closed(), [true, true, true, true])
})
