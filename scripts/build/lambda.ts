import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'
import { createHash } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { UI_DIRECTORY } from '../../src/plugins/docs/from-routes.ts'
import { UI_FILES } from '../../src/plugins/docs/ui.ts'
import { builtinsByRequire } from './builtins.ts'
import { copyFolders, emptyDirectory, ES_MODULES, FUNCTION_BUNDLE, ROOT, writeOutput } from './bundle.ts'
import { compiledSchemas } from './compile-schemas.ts'
import { entryPointsOf, lazyPackages, packageEntries } from './lazy-packages.ts'
import { leftOut } from './left-out.ts'
import { smallerPackages } from './smaller-packages.ts'

/** Where the artifact has templates of its own: the value of MAIL_TEMPLATES_DIR for a function that uses them. */
export const OWN_TEMPLATES = 'own-mail-templates'

/** Identifies the script of an artifact; its code cache has it in its name. */
export const hashOf = (script: Uint8Array): string => createHash('sha256').update(script).digest('hex').slice(0, 16)

const COMMON = {
  ...FUNCTION_BUNDLE,
  // Independent of the target directory: the names of the files depend on the paths in their source maps.
  outdir: 'dist/lambda',
  // Source maps are written beside the artifact: Lambda would not read them, and they are larger than the code.
  sourcemap: 'external'
} satisfies BuildOptions

/** The app as one script, and the names of the packages that it loads lazily. */
async function bundleService (plugins: readonly Plugin[]) {
  const packages = new Set<string>()
  const service = await build({
    ...COMMON,
    entryPoints: { service: 'src/lambda/start.ts' },
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    banner: { js: '(function(module,require,scriptUrl){' },
    footer: { js: '})' },
    define: { 'import.meta.url': 'scriptUrl' },
    // The lazy files are loaded by `require`, since `import()` needs an experimental option in a script.
    supported: { 'dynamic-import': false },
    plugins: [smallerPackages, builtinsByRequire, lazyPackages(packages), leftOut, compiledSchemas(), ...plugins]
  })
  return { service, packages }
}

/** A file for each package, and for what they share. */
const bundlePackages = async (packages: ReadonlySet<string>, plugins: readonly Plugin[]) => await build({
  ...COMMON,
  ...ES_MODULES,
  entryPoints: entryPointsOf(packages),
  splitting: true,
  chunkNames: '[name]-[hash]',
  plugins: [smallerPackages, builtinsByRequire, packageEntries, leftOut, ...plugins]
})

/** The module that runs the script. */
const bundleLoader = async (script: Uint8Array) => await build({
  ...COMMON,
  ...ES_MODULES,
  entryPoints: { index: 'src/lambda/loader.ts' },
  define: { SERVICE_HASH: JSON.stringify(hashOf(script)) },
  plugins: [builtinsByRequire]
})

async function copyOwnTemplates (templates: string, directory: string): Promise<void> {
  // Checked now, so that a wrong file does not stop the deployed function. Imported by its path, because the module may leave.
  const { readTemplates } = await import(join(ROOT, 'src/modules/email/templates/files.ts')) as { readTemplates: (directory: string) => Promise<unknown> }
  await readTemplates(templates)
  await cp(templates, join(directory, OWN_TEMPLATES), { recursive: true })
}

/**
 * Builds the Lambda artifact in a directory:
 * - `service.cjs`, the app as one script, which V8 can cache as a whole: shared chunks cost a cold start 7 % (ADR 154)
 * - a file for each package that is loaded lazily, and what they share
 * - `index.mjs`, which runs the script
 * - the files that these read
 *
 * Swagger UI is optional, because it is as large as everything else together; so are mail templates of one's own. Further
 * plugins of esbuild are for benchmarks.
 *
 * @returns the contents of the bundle, as esbuild reports them
 */
export async function buildLambda (directory: string, { withUi = false, mailTemplates, plugins = [] }: { withUi?: boolean, mailTemplates?: string | undefined, plugins?: Plugin[] } = {}): Promise<Metafile> {
  const { service, packages } = await bundleService(plugins)
  const lazy = await bundlePackages(packages, plugins)
  const loader = await bundleLoader(service.outputFiles.find(({ path }) => path.endsWith('.cjs'))!.contents)
  const results = [service, lazy, loader]
  const files = results.flatMap(({ outputFiles }) => outputFiles)
  const isMap = ({ path }: { path: string }) => path.endsWith('.map')
  for (const made of [directory, `${directory}-maps`]) await emptyDirectory(made)
  await writeOutput(directory, files.filter(file => !isMap(file)))
  await writeOutput(`${directory}-maps`, files.filter(isMap))
  await copyFolders(directory)
  if (mailTemplates !== undefined) await copyOwnTemplates(mailTemplates, directory)
  await cp(join(ROOT, 'docs/openapi'), join(directory, 'openapi'), { recursive: true })
  if (withUi) for (const name of Object.keys(UI_FILES)) await cp(join(UI_DIRECTORY, name), join(directory, 'openapi/ui', name))
  return {
    inputs: Object.assign({}, ...results.map(({ metafile }) => metafile.inputs)) as Metafile['inputs'],
    outputs: Object.assign({}, ...results.map(({ metafile }) => metafile.outputs)) as Metafile['outputs']
  }
}
