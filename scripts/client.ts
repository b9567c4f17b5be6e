import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeBruno } from './client/bruno.ts'
import { readDocument } from './client/document.ts'
import { makeHttpFile } from './client/http-file.ts'
import { makeTypescript } from './client/typescript.ts'
import { readOptions } from './options.ts'
import { endOnSignals } from './signals.ts'
import { writeFiles } from './write-files.ts'

const HELP = `npm run client: writes what clients/ has that is generated, from docs/openapi/. It connects to nothing.
`

const ROOT = join(import.meta.dirname, '..')

/** Folders that hold only generated files. */
export const GENERATED = ['clients/bruno', 'clients/http', 'clients/typescript/src/generated']

const within = (folder: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([file, text]) => [`${folder}/${file}`, text]))

/** The text of every generated file of clients/, by its path in the project. */
export async function makeClients (): Promise<Record<string, string>> {
  const [v1, v2] = [await readDocument('v1'), await readDocument('v2')]
  return {
    ...within('clients/bruno', makeBruno({ v1, v2 })),
    ...within('clients/http', { 'v1.http': makeHttpFile(v1, 'v1.json'), 'v2.http': makeHttpFile(v2, 'v2.json') }),
    ...within('clients/typescript/src/generated', await makeTypescript(v2))
  }
}

/** What is wrong with files on disk, given the files that the documents make. */
export function staleFiles (made: Record<string, string>, found: Record<string, string>): string[] {
  return [
    ...Object.keys(made).filter(file => found[file] !== made[file]).map(file => `${file}: ${file in found ? 'not what the documents make' : 'missing'}`),
    ...Object.keys(found).filter(file => !(file in made)).map(file => `${file}: left over`)
  ]
}

if (import.meta.main) {
  readOptions(HELP)
  endOnSignals()
  const files = await makeClients()
  // Synchronous: a Ctrl-C leaves all of them as they were, or all of them written.
  for (const folder of GENERATED) rmSync(join(ROOT, folder), { recursive: true, force: true })
  writeFiles(ROOT, files)
  console.log(`${Object.keys(files).length} files in ${GENERATED.join(', ')}`)
}
