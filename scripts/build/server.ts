import { build } from 'esbuild'
import { copyFolders, emptyDirectory, ROOT, TARGET, writeOutput } from './bundle.ts'
import { packagesOfServer, writeSbom } from './sbom.ts'

/** Builds the plain server as one file, which loads its packages from `node_modules`: `node dist/server/index.mjs`. Its bill of materials is beside the directory. */
export async function buildServer (directory: string): Promise<void> {
  await emptyDirectory(directory)
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
  await writeOutput(directory, outputFiles)
  await copyFolders(directory)
  await writeSbom(`${directory}.cdx.json`, 'user-service-server', packagesOfServer())
}
