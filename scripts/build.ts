import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'
import { zipSync } from 'fflate'
import { createHash } from 'node:crypto'
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { basename, join, relative } from 'node:path'
import { UI_DIRECTORY } from '../src/plugins/docs/from-routes.ts'
import { UI_FILES } from '../src/plugins/docs/ui.ts'
import { ConfigError } from '../src/shared/config-error.ts'
import { compiledSchemas } from './compile-schemas.ts'
import { readOptions } from './options.ts'
import { packagesIn, packagesOfServer, sbomOf, type Sbom } from './sbom.ts'
import { endOnSignals } from './signals.ts'
import { smallerPackages } from './smaller-packages.ts'

const ROOT = join(import.meta.dirname, '..')

/** The major version of Node in the Lambda runtime nodejs24.x. */
const TARGET = 'node24'

/** Folders that are read at run time from beside their modules, so the build copies them beside the bundle. */
const FOLDERS = ['src/modules/auth/verify-page', 'src/modules/email/templates/mail-templates']

async function copyFolders (directory: string): Promise<void> {
  for (const folder of FOLDERS) await cp(join(ROOT, folder), join(directory, basename(folder)), { recursive: true })
}

/** Where the artifact has templates of its own: the value of MAIL_TEMPLATES_DIR for a function that uses them. */
const OWN_TEMPLATES = 'own-mail-templates'

/**
 * Loads built-ins through `require`: an ESM import reads every export, and reading those of `http` loads Node's whole
 * fetch. That costs a cold start 28–38 ms, `require` 3 ms. Only the exports in use are read, once: as CommonJS modules,
 * built-ins would be copied for each file that imports them: a megabyte in all, and 2 % of a cold start.
 */
const builtinsByRequire: Plugin = {
  name: 'builtins-by-require',
  setup ({ onResolve, onLoad }) {
    const names = builtinModules.join('|')
    const isOurs = (namespace: string) => /^builtin/.test(namespace)
    onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`) }, ({ path, namespace, kind }) => {
      if (isOurs(namespace) || kind === 'require-call') return { path, external: true }
      return { path, namespace: kind === 'dynamic-import' ? 'builtin-loaded-later' : 'builtin' }
    })
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
      const exported = Object.keys(process.getBuiltinModule(path)!).filter(name => name !== 'default' && /^[\w$]+$/.test(name))
      // Without a use the bundler drops a pure call.
      const lines = exported.map(name => `const $${name} = /* @__PURE__ */ read('${name}')\nexport { $${name} as ${name} }`)
      return { contents: `const builtin = require(${JSON.stringify(path)})\nconst read = name => builtin[name]\nexport default builtin\n${lines.join('\n')}` }
    })
    // A dynamic import gives the whole module.
    onLoad({ filter: /.*/, namespace: 'builtin-loaded-later' }, ({ path }) => ({ contents: `module.exports = require(${JSON.stringify(path)})` }))
  }
}

/** Replaces packages that the service does not need on Lambda by a stub that throws, or by a smaller equivalent. */
const leftOut: Plugin = {
  name: 'left-out',
  setup ({ onResolve, onLoad }) {
    // Swagger UI and the generator of the documents are left out, because the artifact serves files.
    onResolve({ filter: /\/from-routes\.ts$/ }, ({ path }) => ({ path, namespace: 'left-out' }))
    // Schemas are compiled by the build.
    onResolve({ filter: /^@fastify\/(?:ajv|fast-json-stringify)-compiler$/ }, ({ path }) => ({ path, namespace: 'left-out' }))
    onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({ contents: `throw new Error('${path} is not part of the Lambda artifact')` }))
    // Lambda provides a role's credentials only in the environment, so profile files, SSO and instance metadata are not needed.
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, ({ resolveDir }) => ({ path: 'credentials', namespace: 'credentials', pluginData: resolveDir }))
    onLoad({ filter: /.*/, namespace: 'credentials' }, ({ pluginData }) => ({
      contents: "export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env'",
      resolveDir: pluginData
    }))
  }
}

/** What the bundles of both functions have in common. */
const FUNCTION_BUNDLE = {
  absWorkingDir: ROOT,
  write: false as const,
  bundle: true,
  platform: 'node',
  target: TARGET,
  // Makes the upload a third smaller. Names are kept, so that stack traces are readable without source maps.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  // Use the SDK's ES modules, so that unused parts are removed.
  mainFields: ['module', 'main'],
  metafile: true as const,
  logLevel: 'warning'
} satisfies BuildOptions

const ES_MODULES = {
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  banner: { js: "const require = process.getBuiltinModule('module').createRequire(import.meta.url);" }
} satisfies BuildOptions

/** The name of the file of a package that is loaded lazily. */
const fileOf = (name: string) => `${name.replace(/^@/, '').replaceAll('/', '-')}.mjs`

/**
 * Keeps the packages that the sources import lazily (mailers, Redis, other AWS clients) out of the script, which the API would
 * otherwise read at each cold start.
 *
 * @param found is filled with the names of these packages
 */
const lazyPackages = (found: Set<string>): Plugin => ({
  name: 'lazy-packages',
  setup ({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind, importer }) => {
      if (kind !== 'dynamic-import' || path.startsWith('node:') || !importer.startsWith(join(ROOT, 'src'))) return undefined
      found.add(path)
      return { path: `./${fileOf(path)}`, external: true }
    })
  }
})

/** Makes an entry point for a package: all its names, also those of a CommonJS module. */
const packageEntries: Plugin = {
  name: 'package-entries',
  setup ({ onResolve, onLoad }) {
    onResolve({ filter: /^package:/ }, ({ path }) => ({ path: path.slice('package:'.length), namespace: 'package' }))
    onLoad({ filter: /.*/, namespace: 'package' }, async ({ path }) => {
      const names = Object.keys(await import(path) as object).filter(name => name !== 'default' && name !== 'module.exports')
      return { contents: `export { ${names.join(', ')} } from ${JSON.stringify(path)}`, resolveDir: ROOT }
    })
  }
}

/** Identifies the script of an artifact; its code cache has it in its name. */
export const hashOf = (script: Uint8Array): string => createHash('sha256').update(script).digest('hex').slice(0, 16)

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
  const common = {
    ...FUNCTION_BUNDLE,
    // Independent of the target directory: the names of the files depend on the paths in their source maps.
    outdir: 'dist/lambda',
    // Source maps are written beside the artifact: Lambda would not read them, and they are larger than the code.
    sourcemap: 'external'
  } satisfies BuildOptions
  const packages = new Set<string>()
  const service = await build({
    ...common,
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
  const lazy = await build({
    ...common,
    ...ES_MODULES,
    entryPoints: Object.fromEntries([...packages].sort().map(name => [fileOf(name).replace(/\.mjs$/, ''), `package:${name}`])),
    splitting: true,
    chunkNames: '[name]-[hash]',
    plugins: [smallerPackages, builtinsByRequire, packageEntries, leftOut, ...plugins]
  })
  const code = service.outputFiles.find(({ path }) => path.endsWith('.cjs'))!.contents
  const loader = await build({
    ...common,
    ...ES_MODULES,
    entryPoints: { index: 'src/lambda/loader.ts' },
    define: { SERVICE_HASH: JSON.stringify(hashOf(code)) },
    plugins: [builtinsByRequire]
  })
  for (const made of [directory, `${directory}-maps`]) {
    await rm(made, { recursive: true, force: true })
    await mkdir(made, { recursive: true })
  }
  const results = [service, lazy, loader]
  for (const { path, contents } of results.flatMap(({ outputFiles }) => outputFiles)) await writeFile(join(path.endsWith('.map') ? `${directory}-maps` : directory, basename(path)), contents)
  await copyFolders(directory)
  if (mailTemplates !== undefined) {
    // Checked now, so that a wrong file does not stop the deployed function. Imported by its path, because the module may leave.
    const { readTemplates } = await import(join(ROOT, 'src/modules/email/templates/files.ts')) as { readTemplates: (directory: string) => Promise<unknown> }
    await readTemplates(mailTemplates)
    await cp(mailTemplates, join(directory, OWN_TEMPLATES), { recursive: true })
  }
  await cp(join(ROOT, 'docs/openapi'), join(directory, 'openapi'), { recursive: true })
  if (withUi) for (const name of Object.keys(UI_FILES)) await cp(join(UI_DIRECTORY, name), join(directory, 'openapi/ui', name))
  return {
    inputs: Object.assign({}, ...results.map(({ metafile }) => metafile.inputs)) as Metafile['inputs'],
    outputs: Object.assign({}, ...results.map(({ metafile }) => metafile.outputs)) as Metafile['outputs']
  }
}

/**
 * Builds the authorizer in a directory: one file, without the app, a secret or the AWS SDK.
 *
 * @returns the contents of the bundle, as esbuild reports them
 */
export async function buildAuthorizer (directory: string): Promise<Metafile> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const { metafile, outputFiles } = await build({
    ...FUNCTION_BUNDLE,
    ...ES_MODULES,
    entryPoints: { index: 'src/authorizer.ts' },
    outdir: 'dist/authorizer',
    plugins: [builtinsByRequire]
  })
  for (const { path, contents } of outputFiles) await writeFile(join(directory, basename(path)), contents)
  return metafile
}

const writeSbom = async (file: string, sbom: Sbom) => await writeFile(file, `${JSON.stringify(sbom, null, 2)}\n`)

/** Builds the plain server as one file, which loads its packages from `node_modules`: `node dist/server/index.mjs`. Its bill of materials is beside the directory. */
export async function buildServer (directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: { index: 'src/server.ts' },
    outdir: 'dist/server',
    write: false,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: TARGET,
    format: 'esm',
    sourcemap: true,
    logLevel: 'warning'
  })
  for (const { path, contents } of outputFiles) await writeFile(join(directory, basename(path)), contents)
  await copyFolders(directory)
  await writeSbom(`${directory}.cdx.json`, sbomOf('user-service-server', packagesOfServer()))
}

/** Zips a directory reproducibly: sorted names, one date, one mode. */
export async function zipDirectory (directory: string): Promise<Uint8Array> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => relative(directory, join(entry.parentPath, entry.name))).sort()
  // Zip files store local time. This date gives the same bytes in every time zone.
  const options = { level: 9, mtime: new Date(2000, 0, 1), os: 3, attrs: 0o644 << 16 } as const
  const contents: Parameters<typeof zipSync>[0] = {}
  for (const file of files) contents[file.replaceAll('\\', '/')] = [await readFile(join(directory, file)), options]
  return zipSync(contents)
}

/** Bytes in the bundle by package; our own code by its folder. */
function composition (metafile: Metafile): [name: string, bytes: number][] {
  const sizes = new Map<string, number>()
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? (path.startsWith('src/') ? 'src' : path)
      sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
    }
  }
  return [...sizes].sort((a, b) => b[1] - a[1])
}

const kib = (bytes: number) => `${Math.round(bytes / 1024)} KiB`

const HELP = `npm run build [-- --composition] [--mail-templates DIR]: the Lambda artifact in dist/lambda and dist/lambda.zip, the
authorizer in dist/authorizer and dist/authorizer.zip, the plain server in dist/server. Beside each, a software bill of
materials (CycloneDX) names the packages whose code is in it, for the server those that it loads: dist/lambda.cdx.json,
dist/authorizer.cdx.json, dist/server.cdx.json.

  DOCS_ENABLED=true      puts Swagger UI into the Lambda artifact; the function serves it if it has the variable too
  --composition          lists the packages in the bundle
  --mail-templates DIR   puts a directory of mail templates into the Lambda artifact, as ${OWN_TEMPLATES}: the value of
                         MAIL_TEMPLATES_DIR for the function (docs/mails.md)
`

async function main () {
  const { composition: wantsComposition, 'mail-templates': mailTemplates } = readOptions(HELP, { composition: { type: 'boolean' }, 'mail-templates': { type: 'string' } })
  endOnSignals()
  // Beside what an earlier build made, and in its place at the end: a Ctrl-C leaves that one whole.
  const dist = join(ROOT, 'dist/.building')
  process.once('exit', () => rmSync(dist, { recursive: true, force: true }))
  await rm(dist, { recursive: true, force: true })
  await mkdir(dist, { recursive: true })
  const withUi = process.env['DOCS_ENABLED'] === 'true'
  const metafile = await buildLambda(join(dist, 'lambda'), { withUi, mailTemplates })
  const entry = await stat(join(dist, 'lambda/service.cjs'))
  await buildServer(join(dist, 'server'))
  const zip = await zipDirectory(join(dist, 'lambda'))
  await writeFile(join(dist, 'lambda.zip'), zip)
  const authorizerMetafile = await buildAuthorizer(join(dist, 'authorizer'))
  // The files of Swagger UI are copied, and are in no bundle.
  const packages = [...packagesIn(metafile), ...(withUi ? ['node_modules/@fastify/swagger-ui'] : [])]
  await writeSbom(join(dist, 'lambda.cdx.json'), sbomOf('user-service-lambda', packages))
  await writeSbom(join(dist, 'authorizer.cdx.json'), sbomOf('user-service-authorizer', packagesIn(authorizerMetafile)))
  const authorizer = await zipDirectory(join(dist, 'authorizer'))
  await writeFile(join(dist, 'authorizer.zip'), authorizer)
  const { size } = await stat(join(dist, 'authorizer/index.mjs'))
  for (const name of readdirSync(dist)) {
    rmSync(join(ROOT, 'dist', name), { recursive: true, force: true })
    renameSync(join(dist, name), join(ROOT, 'dist', name))
  }

  const parts = composition(metafile)
  const bundled = parts.reduce((sum, [, bytes]) => sum + bytes, 0)
  if (wantsComposition === true) for (const [name, bytes] of parts) console.log(`${kib(bytes).padStart(9)}  ${name}`)
  console.log(`dist/lambda      ${kib(bundled)} of ${parts.length} packages (--composition lists them), its service.cjs ${kib(entry.size)}`)
  console.log(`dist/lambda.zip  ${kib(zip.length)}, sha256 ${createHash('sha256').update(zip).digest('hex')}`)
  console.log(`dist/authorizer  ${kib(size)}, dist/authorizer.zip ${kib(authorizer.length)}`)
  console.log(`dist/*.cdx.json  ${sbomOf('', packages).components.length} packages in lambda.zip`)
  console.log('dist/server      node dist/server/index.mjs')
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message.replace(/^Configuration: MAIL_TEMPLATES_DIR:?/, '--mail-templates:'))
    process.exit(1)
  })
}
