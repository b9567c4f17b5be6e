import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'

/** What the line between two parties does: carry, carry late, carry in pieces, carry nothing and keep the line open, or cut it. */
export type Line = 'clear' | { delayMs: number } | { sliceBytes: number } | 'silent' | 'reset'

export interface TcpProxy {
  readonly port: number
  /** Changes the line; `reset` cuts what is connected and everything that connects. */
  set (line: Line): void
  /** Lets what is connected die unnoticed: it swallows what it is sent, or answers with a reset. New connections are not touched. */
  strand (how: 'silent' | 'reset'): number
  /** how many have been accepted */
  readonly accepted: number
  /** how many pieces have been carried */
  readonly slices: number
}

/** A TCP proxy in front of a local port, for faults of the network between this process and a server. */
export async function startTcpProxy (t: Test, targetPort: number): Promise<TcpProxy> {
  let line: Line = 'clear'
  const pairs = new Set<[Socket, Socket]>()
  const stranded = new Map<Socket, 'silent' | 'reset'>()
  let accepted = 0
  let slices = 0

  function carry (from: Socket, to: Socket) {
    let sent = Promise.resolve()
    /** Sends each piece in a turn of its own, so that the other side reads them one by one, or at least not as they were written. */
    async function carrySlices (chunk: Buffer, size: number) {
      for (let at = 0; at < chunk.length; at += size) {
        to.write(chunk.subarray(at, at + size))
        slices++
        await nextTurn()
      }
    }
    from.on('data', chunk => {
      const fate = stranded.get(from)
      if (fate === 'reset') return from.resetAndDestroy()
      if (line === 'silent' || fate === 'silent') return
      if (typeof line !== 'object') to.write(chunk)
      else if ('delayMs' in line) setTimeout(() => to.write(chunk), line.delayMs)
      else {
        const { sliceBytes } = line
        sent = sent.then(() => carrySlices(chunk as Buffer, sliceBytes))
      }
    })
    from.on('close', () => { void sent.then(() => to.destroy()) })
    from.on('error', () => to.destroy())
  }

  const server = createServer(client => {
    accepted++
    if (line === 'reset') { client.resetAndDestroy(); return }
    const target = connect(targetPort, '127.0.0.1')
    for (const socket of [client, target]) socket.setNoDelay()
    const pair: [Socket, Socket] = [client, target]
    pairs.add(pair)
    client.once('close', () => pairs.delete(pair))
    carry(client, target)
    carry(target, client)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.close()
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  })

  return {
    port: (server.address() as AddressInfo).port,
    get accepted () { return accepted },
    get slices () { return slices },
    strand (how) {
      for (const pair of pairs) for (const socket of pair) stranded.set(socket, how)
      return pairs.size
    },
    set (to) {
      line = to
      if (to === 'reset') for (const [client] of pairs) client.resetAndDestroy()
    }
  }
}
