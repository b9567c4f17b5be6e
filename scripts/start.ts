import './require-node.cjs'
import { planSystem } from '../local/plan.ts'
import { readOptions } from './options.ts'

const HELP = `npm start: the whole system on this machine, without Docker and without a cloud account.

It starts a DynamoDB engine, an SQS engine, the event-source mappings between them and the service, an
inbox that accepts every mail, and the HTTP server, and prints their URLs. Ctrl-C stops everything.

  PORT=3000           port of the API; 0 selects a free one
  INBOX_PORT=1080     port of the inbox; 0 selects a free one
  LOCAL_DATA_DIR=.local
                      the data directory, kept between starts. While the system runs, the file env in it
                      connects another process to the engines: node --env-file=.local/env …
                      The inbox keeps the newest 500 mails, a stream its unread records and the last 1,000.
  HOST=127.0.0.1      address the API listens on
  LOG_LEVEL=warn      info shows one line for each answer

Every variable of .env.example applies, except those for AWS resources and the mail server. No .env is read.
To start from scratch, stop it and remove the data directory.
`

/** Milliseconds for an orderly stop. Sending a mail takes less. Unfinished work continues after the next start. */
const GRACE = 8000

async function main () {
  readOptions(HELP, {}, 'settings are environment variables, as in PORT=4000 npm start; npm start -- --help lists them')
  const began = performance.now()
  const parent = process.ppid
  const plan = await planSystem(process.env)
  // Loaded only when it is needed, because loading takes most of the start time.
  const { startSystem } = await import('../local/system.ts')
  const system = await startSystem(plan)

  let stoppingSince: number | undefined
  async function stop (exitCode: number) {
    if (stoppingSince !== undefined) {
      // npm forwards the Ctrl-C that the terminal has already sent to this process: within a second it counts as the same one.
      if (Date.now() - stoppingSince > 1000) process.exit(1)
      return
    }
    stoppingSince = Date.now()
    console.log('\nStopping …')
    setTimeout(() => process.exit(1), GRACE).unref()
    await system.stop()
    process.exit(exitCode)
  }
  // When npm is killed, it sends no signal. The script in package.json replaces npm's shell with this process, so npm is the parent.
  if (process.env['npm_lifecycle_event'] !== undefined) setInterval(() => { if (process.ppid !== parent) void stop(1) }, 500).unref()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0))
  void system.broken.then(reason => {
    console.error(reason)
    return stop(1)
  })

  const { api, docs, inbox } = system.urls
  console.log(`The user service is ready (${((performance.now() - began) / 1000).toFixed(1)} s).

  API         ${api}
  Swagger UI  ${docs}
  Inbox       ${inbox}

Its data is in ${plan.dir}, the environment for other processes in ${plan.dir}/env. Ctrl-C stops everything.`)
}

main().catch((error: NodeJS.ErrnoException) => {
  // An error that the user can fix is printed as one line; every other error with its stack.
  console.error(error.code === undefined && !['StartError', 'ConfigError'].includes(error.name) ? error : error.message)
  process.exit(1)
})
