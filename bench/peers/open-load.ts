import { once } from 'node:events'
import { connect } from 'node:net'
import type { OpenLoadDone, OpenLoadOrder } from '../lib/load-order.ts'
import { serveOrders } from '../lib/serve-orders.ts'
import { answerLength, requestsOf } from '../lib/wire.ts'

// Clients that do not wait for each other: requests start at a rate, however many are unanswered, and a client that has waited
// for too long closes its connection. Overload is only seen by such clients: the next request of load.ts waits for an answer.

const STATUS = /^HTTP\/1\.1 (\d{3}) /
const PER_SECOND = 1000

async function load (order: OpenLoadOrder): Promise<OpenLoadDone> {
  const { seconds, rate, patienceMs, connections } = order
  const { hostname, port, requests } = requestsOf(order)
  const done: OpenLoadDone = { sent: 0, good: 0, rejected: 0, late: 0, failed: 0, waits: [], seconds }
  let running = 0
  const open = () => connect(port, hostname).setNoDelay(true).on('error', () => {})
  // Node takes one connection in each turn of its event loop: clients that must open one wait longest while it is overloaded.
  const idle = await Promise.all(Array.from({ length: connections }, async () => {
    const socket = open()
    socket.write(`GET /health/live HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`)
    await once(socket, 'data')
    return socket
  }))

  function send (request: string) {
    const sentAt = performance.now()
    running++
    const socket = idle.pop() ?? open()
    let text = ''
    const end = (outcome: 'good' | 'rejected' | 'late' | 'failed') => {
      clearTimeout(timer)
      socket.removeAllListeners('data').removeAllListeners('close')
      running--
      done[outcome]++
      if (outcome === 'good') done.waits.push(performance.now() - sentAt)
      if (outcome === 'late' || outcome === 'failed') socket.destroy()
      else {
        socket.once('close', () => { const i = idle.indexOf(socket); if (i !== -1) idle.splice(i, 1) })
        idle.push(socket)
      }
    }
    const timer = setTimeout(() => end('late'), patienceMs)
    socket.removeAllListeners('close')
    socket.once('close', () => end('failed'))
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      if (answerLength(text) === undefined) return
      const status = Number(STATUS.exec(text)?.[1])
      // The timer is late where this process is.
      end(performance.now() - sentAt > patienceMs ? 'late' : status === 200 ? 'good' : status === 503 ? 'rejected' : 'failed')
    })
    socket.write(request)
    done.sent++
  }

  const start = performance.now()
  return await new Promise(resolve => {
    const timer = setInterval(() => {
      const elapsed = (performance.now() - start) / PER_SECOND
      if (elapsed < seconds) {
        while (done.sent < elapsed * rate) send(requests[done.sent % requests.length]!)
      } else if (running === 0) {
        clearInterval(timer)
        for (const socket of idle) socket.destroy()
        resolve(done)
      }
    }, 1)
  })
}

serveOrders(load)
