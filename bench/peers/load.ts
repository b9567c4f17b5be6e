import { connect } from 'node:net'
import type { LoadDone, LoadOrder } from '../lib/load-order.ts'
import { serveOrders } from '../lib/serve-orders.ts'
import { answerLength, requestsOf } from '../lib/wire.ts'

// The load generator, in a process of its own, so that it can run on a core of its own. It knows just enough HTTP to
// need less time than the fastest contender: node:http got 54,000 requests a second from it, and 44,000 from autocannon.

/** Sends requests on each connection, the next one when the last has been answered. */
function load (order: LoadOrder): Promise<LoadDone> {
  const { seconds, connections } = order
  const { hostname, port, requests } = requestsOf(order)
  let sent = 0
  const nextRequest = () => requests[sent++ % requests.length]!
  const start = performance.now()
  const done: LoadDone = { answered: 0, failed: 0, seconds }
  let isOver = false
  setTimeout(() => {
    isOver = true
    done.seconds = (performance.now() - start) / 1000
  }, seconds * 1000)

  function run (): Promise<void> {
    const socket = connect(port, hostname, () => socket.write(nextRequest())).setNoDelay(true)
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      const length = answerLength(text)
      if (length === undefined) return
      // Nothing was asked for beyond this answer.
      const isRight = text.startsWith('HTTP/1.1 2') && text.length === length
      text = ''
      if (!isOver) done[isRight ? 'answered' : 'failed']++
      if (isOver) socket.end()
      else socket.write(nextRequest())
    })
    socket.on('error', () => { done.failed++ })
    return new Promise(resolve => socket.once('close', () => {
      if (!isOver) done.failed++
      resolve()
    }))
  }
  return Promise.all(Array.from({ length: connections }, run)).then(() => done)
}

serveOrders(load)
