import { build, type Metafile } from 'esbuild'
import { builtinsByRequire } from './builtins.ts'
import { emptyDirectory, ES_MODULES, FUNCTION_BUNDLE, writeOutput } from './bundle.ts'

/**
 * Builds the authorizer in a directory: one file, without the app, a secret or the AWS SDK.
 *
 * @returns the contents of the bundle, as esbuild reports them
 */
export async function buildAuthorizer (directory: string): Promise<Metafile> {
  await emptyDirectory(directory)
  const { metafile, outputFiles } = await build({
    ...FUNCTION_BUNDLE,
    ...ES_MODULES,
    entryPoints: { index: 'src/authorizer.ts' },
    outdir: 'dist/authorizer',
    plugins: [builtinsByRequire]
  })
  await writeOutput(directory, outputFiles)
  return metafile
}
