import './require-node.cjs'
import { planSystem, type Plan } from '../local/plan.ts'
import type { System } from '../local/system.ts'
import { readOptions, refuse } from './options.ts'

const HELP = `npm start, npm run dev: the whole system on this machine, without Docker and without a cloud account.

It starts a DynamoDB engine, an SQS engine, the event-source mappings between them and the service, an
inbox that accepts every mail, and the HTTP server, and prints their URLs. Ctrl-C stops everything.

  PORT=3000           port of the API; 0 selects a free one
  INBOX_PORT=1080     port of the inbox; 0 selects a free one
  LOCAL_DATA_DIR=.local
                      the data directory, kept between starts. While the system runs, the file env in it
                      connects another process to the engines: node --env-file=.local/env …
                      The inbox keeps the newest 500 mails, a stream its unread records and the last 1,000, the log
                      its newest 16 MB, whatever LOG_LEVEL shows: npm run trace -- ID
  HOST=127.0.0.1      address the API listens on
  METRICS_PORT        shows metrics for Prometheus on this port; off without it
  LOG_LEVEL=warn      info shows one line for each answer

  --watch             starts only the app again after each change below src/, in a process of its own; engines, data and
                      inbox go on. The same as npm run dev
  --inspect           the same, and a debugger can attach to the app at 127.0.0.1:9229. VS Code: .vscode/launch.json
  --inspect-port=9229 the same at another port

Every variable of .env.example applies, except those for AWS resources and the mail server. No .env is read.
To start from scratch, stop it and remove the data directory.
`

/** Milliseconds for an orderly stop. Sending a mail takes less. Unfinished work continues after the next start. */
const GRACE = 8000

// Loaded only when it is needed, because loading takes most of the start time. While sources are watched, this process does
// not load the app: it may not even compile.
async function startOnce (plan: Plan): Promise<System> {
  const [{ startSystem }, { startApp }] = await Promise.all([import('../local/system.ts'), import('../local/app.ts')])
  return await startSystem(plan, startApp)
}

async function startWatched (plan: Plan, inspect: string | undefined): Promise<System> {
  const { startWatchedSystem } = await import('../local/watched-system.ts')
  return await startWatchedSystem(plan, inspect)
}

/** The port for a debugger. Node accepts no other ones, but reports them when the app starts. */
function inspectPort (text = '9229'): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN
  return port === 0 || (port >= 1024 && port <= 65_535) ? port : refuse('--inspect-port is not a port from 1024 to 65535, or 0 for a free one')
}

async function main () {
  const options = readOptions(HELP, { watch: { type: 'boolean' }, inspect: { type: 'boolean' }, 'inspect-port': { type: 'string' } }, 'settings are environment variables, as in PORT=4000 npm start; npm start -- --help lists them')
  const debugPort = inspectPort(options['inspect-port'])
  const began = performance.now()
  const parent = process.ppid
  const plan = await planSystem(process.env)
  const isDebugged = options['inspect'] === true || options['inspect-port'] !== undefined
  const system = options['watch'] === true || isDebugged
    ? await startWatched(plan, isDebugged ? `127.0.0.1:${debugPort}` : undefined)
    : await startOnce(plan)

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
  // Not as in signals.ts: a Ctrl-C is how this is stopped, so its exit code is 0, and a terminal that is closed stops it too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0))
  void system.broken.then(reason => {
    console.error(reason)
    return stop(1)
  })

  const { api, docs, inbox, metrics } = system.urls
  console.log(`The user service is ready (${((performance.now() - began) / 1000).toFixed(1)} s).

  API         ${api}
  Swagger UI  ${docs}
  Inbox       ${inbox}${metrics === undefined ? '' : `\n  Metrics     ${metrics}`}

Its data is in ${plan.dir}, the environment for other processes in ${plan.dir}/env. Ctrl-C stops everything.`)
}

main().catch((error: NodeJS.ErrnoException) => {
  // An error that the user can fix is printed as one line; every other error with its stack.
  console.error(error.code === undefined && !['StartError', 'ConfigError'].includes(error.name) ? error : error.message)
  process.exit(1)
})
