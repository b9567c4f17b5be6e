import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { completeEnv } from '../local/env.ts'
import { buildApp } from '../src/app.ts'
import { ConfigError, loadConfig } from '../src/plugins/config.ts'
import { DOCUMENTS_DIR } from './client/document.ts'
import { makeErrorReference, type Document } from './error-reference.ts'
import { writeModels } from './gateway-models.ts'
import { makeMetricList, METRIC_LIST } from './metric-list.ts'
import { readOptions } from './options.ts'
import { endOnSignals } from './signals.ts'
import { writeFiles } from './write-files.ts'

const HELP = `npm run openapi: writes docs/openapi/v1.json and v2.json from the routes, and docs/schemas/ and docs/asyncapi.json from the events.
docs/errors.md is made from the codes of the documents and from scripts/error-advice.ts. The models with which the gateway
checks bodies go into template.yaml, and what /metrics says of each metric into src/server/metric-list.ts. It connects to nothing.

  --release   also copies the documents to docs/released, with which \`npm run check\` compares later ones
`

const DOCS = fileURLToPath(new URL('../docs/', import.meta.url))
const TEMPLATE = fileURLToPath(new URL('../template.yaml', import.meta.url))

/** The folder of the committed schemas of events. */
export const SCHEMAS_DIR = join(DOCS, 'schemas/')

/**
 * Makes the documents of both versions and of the events, by their path below `docs/`. The text is the same on every
 * machine.
 */
export async function makeDocuments (): Promise<Record<string, string>> {
  // The documents depend only on the routes: nothing is connected to, and no value here appears in them.
  const config = loadConfig(completeEnv({ LOG_LEVEL: 'silent', DOCS_ENABLED: 'false' }))
  const app = await buildApp({ config, docs: { source: 'routes' }, logger: pino({ level: 'silent' }) })
  try {
    const documents: Record<string, string> = {}
    const read = async <T extends object>(file: string): Promise<T> => {
      const response = await app.inject(`/${file}`)
      if (response.statusCode !== 200) throw new Error(`${file} cannot be made: ${response.body}`)
      return response.json<T>()
    }
    const keep = (file: string, document: object) => { documents[file] = JSON.stringify(document, undefined, 2) + '\n' }
    for (const file of ['openapi/v1.json', 'openapi/v2.json']) keep(file, { ...await read(file), servers: [{ url: '/', 'x-internal': false }] })
    keep('asyncapi.json', await read('asyncapi.json'))
    for (const { url } of (await read<{ schemas: { url: string }[] }>('schemas/')).schemas) {
      const file = url.slice(url.indexOf('/schemas/') + 1)
      keep(file, { ...await read(file), $id: `/${file}` })
    }
    const api = (version: string) => JSON.parse(documents[`openapi/${version}.json`]!) as Document
    documents['errors.md'] = makeErrorReference({ v1: api('v1'), v2: api('v2') }, await readFile(TEMPLATE, 'utf8'))
    return documents
  } finally {
    await app.close()
  }
}

if (import.meta.main) {
  const { release } = readOptions(HELP, { release: { type: 'boolean' } })
  endOnSignals()
  const documents = await makeDocuments().catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error
    // The environment is .env.example, which is generated from the schema.
    console.error(`${error.message}: npm run env updates .env.example from the schema`)
    process.exit(1)
  })
  // Synchronous: a Ctrl-C leaves all of them as they were, or all of them written. An event that has gone leaves no schema behind.
  rmSync(SCHEMAS_DIR, { recursive: true, force: true })
  writeFiles(DOCS, documents)
  for (const file of Object.keys(documents)) console.log(`docs/${file}`)
  if (writeModels(documents)) console.log('template.yaml')
  writeFileSync(join(DOCS, '..', METRIC_LIST), makeMetricList())
  console.log(METRIC_LIST)
  if (release === true) {
    cpSync(DOCUMENTS_DIR, join(DOCS, 'released'), { recursive: true })
    console.log('docs/released')
  }
}
