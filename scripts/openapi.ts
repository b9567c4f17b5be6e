import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { completeEnv } from '../local/env.ts'
import { buildApp } from '../src/app.ts'
import { ConfigError, loadConfig } from '../src/plugins/config.ts'
import { readOptions } from './options.ts'

const HELP = `npm run openapi: writes docs/openapi/v1.json and v2.json from the routes. It connects to nothing.
`

/** The folder of the committed documents. */
export const DOCUMENTS_DIR = fileURLToPath(new URL('../docs/openapi/', import.meta.url))

/** Writes the documents of both versions. The text is the same on every machine. */
export async function makeDocuments (): Promise<Record<'v1.json' | 'v2.json', string>> {
  // The documents depend only on the routes: nothing is connected to, and no value here appears in them.
  const config = loadConfig(completeEnv({ LOG_LEVEL: 'silent', DOCS_ENABLED: 'false' }))
  const app = await buildApp({ config, docs: { source: 'routes' }, logger: pino({ level: 'silent' }) })
  try {
    const make = async (file: string) => {
      const response = await app.inject(`/openapi/${file}`)
      if (response.statusCode !== 200) throw new Error(`${file} cannot be made: ${response.body}`)
      return JSON.stringify({ ...response.json(), servers: [{ url: '/', 'x-internal': false }] }, undefined, 2) + '\n'
    }
    return { 'v1.json': await make('v1.json'), 'v2.json': await make('v2.json') }
  } finally {
    await app.close()
  }
}

if (import.meta.main) {
  readOptions(HELP)
  const documents = await makeDocuments().catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error
    // The environment is .env.example, which is generated from the schema.
    console.error(`${error.message}: npm run env updates .env.example from the schema`)
    process.exit(1)
  })
  await mkdir(DOCUMENTS_DIR, { recursive: true })
  for (const [file, text] of Object.entries(documents)) {
    await writeFile(`${DOCUMENTS_DIR}${file}`, text)
    console.log(`docs/openapi/${file}`)
  }
}
