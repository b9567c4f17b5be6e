import { writeSync } from 'node:fs'
import { lambdaContext } from './events.ts'

// One cold start: loads the bundle, hands it the events, and writes to file descriptor 3 what that cost this process up to the
// first answer. A plain loader in place of Lambda's runtime client: that one takes a native module and some milliseconds of its
// own from every contender alike.

const [directory, events = '[]'] = process.argv.slice(2)
const answers: unknown[] = []

/** By the kernel's accounting: user and system time of all threads, and resident memory. (`maxRSS` is no use: a new process inherits its parent's.) */
function cost () {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return { cpuMs: (userCPUTime + systemCPUTime) / 1000, rssMiB: process.memoryUsage.rss() / 2 ** 20 }
}

let usage: ReturnType<typeof cost> | undefined
if (directory !== undefined && directory !== '') {
  const { handler } = await import(`${directory}/index.mjs`) as { handler (event: unknown, context: unknown): Promise<unknown> }
  for (const event of JSON.parse(events) as unknown[]) {
    answers.push(await handler(event, lambdaContext()))
    usage ??= cost()
  }
}
writeSync(3, JSON.stringify({ ...usage ?? cost(), answers }))
process.exit(0)
