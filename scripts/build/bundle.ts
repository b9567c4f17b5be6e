import type { BuildOptions, OutputFile } from 'esbuild'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

// What the bundles have in common.

export const ROOT = join(import.meta.dirname, '../..')

/** The major version of Node in the Lambda runtime nodejs24.x. */
export const TARGET = 'node24'

/** Of both functions. */
export const FUNCTION_BUNDLE = {
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

export const ES_MODULES = {
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  banner: { js: "const require = process.getBuiltinModule('module').createRequire(import.meta.url);" }
} satisfies BuildOptions

/** Makes a directory, without what an earlier build has left in it. */
export async function emptyDirectory (directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
}

/** Writes what esbuild has made, by its file names, into one directory. */
export async function writeOutput (directory: string, files: readonly OutputFile[]): Promise<void> {
  for (const { path, contents } of files) await writeFile(join(directory, basename(path)), contents)
}

/** Folders that are read at run time from beside their modules, so the build copies them beside the bundle. */
const FOLDERS = ['src/modules/auth/verify-page', 'src/modules/email/templates/mail-templates']

export async function copyFolders (directory: string): Promise<void> {
  for (const folder of FOLDERS) await cp(join(ROOT, folder), join(directory, basename(folder)), { recursive: true })
}
