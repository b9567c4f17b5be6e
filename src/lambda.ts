import { join } from 'node:path'
import { buildApp } from './app.ts'
import { createDispatch } from './lambda/dispatch.ts'
import { ConfigError, loadConfig, type Config } from './plugins/config.ts'

/** Reads the configuration. A bad one fails the initialisation, and so the deployment, with one line that names the variable. */
function configOf (env: NodeJS.ProcessEnv): Config {
  try {
    return loadConfig(env)
  } catch (error) {
    // Lambda logs a thrown error twice, with its stack. The stack adds nothing to the message, so it is removed.
    if (error instanceof ConfigError) error.stack = `${error.name}: ${error.message}`
    throw error
  }
}

const { AWS_XRAY_DAEMON_ADDRESS: daemon } = process.env

// Done while Lambda initialises: that phase has more CPU than an event, and runs before the first one.
const app = await buildApp({
  config: configOf(process.env),
  docs: { source: 'files', directory: join(import.meta.dirname, 'openapi') },
  // The runtime client sets the header anew for each invocation.
  tracing: daemon === undefined ? undefined : { daemon, header: () => process.env['_X_AMZN_TRACE_ID'] }
})

/** The handler of every event source, see `dispatch`. */
export const handler = createDispatch(app)

await app.ready()
