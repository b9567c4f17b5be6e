import autocannon from 'autocannon'

// The load generator, in a process of its own, so that it can run on a core of its own.

export interface LoadOrder { url: string, headers: Record<string, string>, seconds: number, connections: number }
/** Counts of answers by outcome, and the seconds that they took. */
export interface LoadDone { answered: number, failed: number, seconds: number }

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
