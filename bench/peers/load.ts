import autocannon from 'autocannon'
import type { LoadDone, LoadOrder } from '../lib/load-order.ts'

// The load generator, in a process of its own, so that it can run on a core of its own.

async function load ({ url, headers, seconds, connections }: LoadOrder): Promise<LoadDone> {
  const { requests, errors, timeouts, non2xx, duration } = await autocannon({ url, headers, duration: seconds, connections })
  return { answered: requests.total, failed: errors + timeouts + non2xx, seconds: duration }
}

process.on('message', (order: LoadOrder) => {
  load(order).then(done => process.send!(done), (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))
process.send!('ready')
