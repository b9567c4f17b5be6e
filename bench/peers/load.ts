import { connect } from 'node:net'
import type { LoadDone, LoadOrder } from '../lib/load-order.ts'

// The load generator, in a process of its own, so that it can run on a core of its own. It knows just enough HTTP to
// need less time than the fastest contender: node:http got 54,000 requests a second from it, and 44,000 from autocannon.

/** Bytes of the answer at the start of a text; undefined = more is to come. */
function answerLength (text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  if (length !== undefined) return text.length >= head + 4 + Number(length) ? head + 4 + Number(length) : undefined
  const end = text.indexOf('\r\n0\r\n\r\n', head)
  return end === -1 ? undefined : end + 7
}

/** Sends requests on each connection, the next one when the last has been answered. */
function load ({ url, headers, seconds, connections }: LoadOrder): Promise<LoadDone> {
  const { hostname, port, pathname } = new URL(url)
  const requests = headers.map(lines => `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
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
    const socket = connect(Number(port), hostname, () => socket.write(nextRequest())).setNoDelay(true)
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

process.on('message', (order: LoadOrder) => {
  load(order).then(done => process.send!(done), (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))
process.send!('ready')
