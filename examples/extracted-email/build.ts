import { build, type Metafile } from 'esbuild'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const HELP = `npm run build: writes dist/, all that the service needs to run: index.mjs for Lambda, consumer.mjs for anywhere else.
`

const ROOT = join(import.meta.dirname, '../..')

/** What this service may consist of, from the folder of the user service: the module itself, and what is below it. */
const PARTS = [/^examples\/extracted-email\//, /^src\/modules\/email\//, /^src\/plugins\//, /^src\/shared\//, /^node_modules\//]

/** The files that a build has taken from anywhere else: another module, the app, its entries. */
export const foreignFiles = ({ inputs }: Pick<Metafile, 'inputs'>): string[] => Object.keys(inputs).filter(file => !PARTS.some(part => part.test(file))).sort()

/** Builds the service in a directory. Throws when it would contain another part of the user service. */
export async function buildService (directory: string, entries = { index: 'src/lambda.ts', consumer: 'src/consumer.ts' }): Promise<Metafile> {
  await rm(directory, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join('examples/extracted-email', file)])),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    banner: { js: "const require = process.getBuiltinModule('module').createRequire(import.meta.url);" },
    metafile: true,
    logLevel: 'warning'
  })
  const foreign = foreignFiles(metafile)
  if (foreign.length > 0) {
    await rm(directory, { recursive: true, force: true })
    throw new Error(`This service would contain parts of the user service that do not belong to it: ${foreign.join(', ')}`)
  }
  await cp(join(ROOT, 'src/modules/email/templates/mail-templates'), join(directory, 'mail-templates'), { recursive: true })
  return metafile
}

if (import.meta.main) {
  try {
    const { values: { help } } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } })
    if (help === true) process.stdout.write(HELP)
    else await buildService(join(import.meta.dirname, 'dist'))
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
