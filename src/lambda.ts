import { join } from 'node:path'
import { buildApp } from './app.ts'
import { createDispatch } from './lambda/dispatch.ts'
import { ConfigError, loadConfig, type Config } from './plugins/config.ts'

/** The configuration; a bad one fails the initialisation, and so the deployment, in one line that names the variable. */
function configOf (env: NodeJS.ProcessEnv): Config {
  try {
    return loadConfig(env)
  } catch (error) {
    // Lambda logs what is thrown, twice, and the stack with it: it says nothing that the line does not.
    if (error instanceof ConfigError) error.stack = `${error.name}: ${error.message}`
    throw error
  }
}

// All of it happens while Lambda initialises, on more CPU than an event gets, and before the first of them.
const app = await buildApp({
  config: configOf(process.env),
  docs: { source: 'files', directory: join(import.meta.dirname, 'openapi') }
})

/** Every event source of the service, see `dispatch`. */
export const handler = createDispatch(app)

await app.ready()
