import { join } from 'node:path'
import { buildApp } from '../app.ts'
import { ConfigError, loadConfig, type Config } from '../plugins/config.ts'
import { createDispatch } from './dispatch.ts'

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

/**
 * Starts the app in Lambda.
 *
 * @param directory the artifact's files: `openapi` and what modules read beside themselves
 * @param isCodeCacheStale whether the artifact's code cache was made by another runtime; see loader.ts
 * @returns the handler of every event source, see `createDispatch`
 */
export async function start (directory: string, isCodeCacheStale = false) {
  const { AWS_XRAY_DAEMON_ADDRESS: daemon } = process.env
  const app = await buildApp({
    config: configOf(process.env),
    docs: { source: 'files', directory: join(directory, 'openapi') },
    metrics: { inAnswers: true },
    // The runtime client sets the header anew for each invocation.
    tracing: daemon === undefined ? undefined : { daemon, header: () => process.env['_X_AMZN_TRACE_ID'] }
  })
  if (isCodeCacheStale) app.log.warn({ node: process.version }, 'the code cache was made by another runtime, so this start was slower: the next deployment renews it')
  const handler = createDispatch(app)
  await app.ready()
  return handler
}
