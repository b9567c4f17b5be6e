import { join } from 'node:path'
import { buildApp } from './app.ts'
import { createDispatch } from './dispatch.ts'
import { loadConfig } from './plugins/config.ts'

// All of it happens while Lambda initialises, with the CPU of a whole core and before the first event: what is wrong
// with the configuration fails the initialisation, and so the deployment, in one line that names the variable.
const app = await buildApp({
  config: loadConfig(process.env),
  docs: { source: 'files', directory: join(import.meta.dirname, 'openapi') }
})

/** Every event source of the service, see `dispatch`. */
export const handler = createDispatch(app)

await app.ready()
