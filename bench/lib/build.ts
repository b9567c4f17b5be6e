import { build, type BuildOptions, type Plugin } from 'esbuild'
import { globSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BenchError } from './bench.ts'
import { BENCH, BUILD, ROOT } from './paths.ts'

/** Packages that Nest loads only if they are installed. */
const OPTIONAL = ['@nestjs/microservices', '@nestjs/microservices/*', '@nestjs/websockets', '@nestjs/websockets/*', 'class-transformer/storage', 'kerberos']

/** The class of the SDK that every client extends. */
const CLIENT = /[\\/]@smithy[\\/]core[\\/].*[\\/]smithy-client[\\/]client\.js$/

/**
 * Replaces the network: a client's `send` returns what the process's own stub of AWS answers. Used for bundles whose code
 * around the SDK is measured, and the SDK is not.
 */
export const stubbedAws: Plugin = {
  name: 'stubbed-aws',
  setup ({ onLoad, onEnd }) {
    let isFound = false
    onLoad({ filter: CLIENT }, async ({ path }) => {
      isFound = true
      return { contents: `${await readFile(path, 'utf8')}\nClient.prototype.send = command => globalThis[Symbol.for('bench.aws')](command)\n` }
    })
    onEnd(() => isFound ? {} : { errors: [{ text: "the SDK's class Client was not found: its calls cannot be stubbed" }] })
  }
}

async function bundle (name: string, options: BuildOptions): Promise<void> {
  try {
    await build({ absWorkingDir: ROOT, bundle: true, platform: 'node', target: 'node24', logLevel: 'silent', ...options })
  } catch (error) {
    throw new BenchError(`${name} cannot be built: ${(error as Error).message.replace(/\s+/g, ' ').slice(0, 400)}`)
  }
}

/**
 * Bundles a contender for Lambda, as esbuild's and AWS's pages advise: one minified file with everything in it, and the
 * SDK from its ES modules.
 *
 * @returns its directory
 */
export async function buildPeer (name: string, { isStubbed = false }: { isStubbed?: boolean } = {}): Promise<string> {
  const directory = join(BUILD, isStubbed ? 'stubbed' : 'lambda', name)
  await bundle(name, {
    entryPoints: { index: join(BENCH, `peers/lambda/${name}.ts`) },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    minify: true,
    // The stub tells commands apart by the names of their classes.
    keepNames: isStubbed,
    mainFields: ['module', 'main'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); const __filename = import.meta.filename; const __dirname = import.meta.dirname;" },
    external: OPTIONAL,
    plugins: isStubbed ? [stubbedAws] : []
  })
  return directory
}

/** Compiles a contender's plain server. Like every server, it loads its packages from node_modules. */
export async function buildServerPeer (name: string): Promise<string> {
  await bundle(name, { entryPoints: { [name]: join(BENCH, `peers/server/${name}.ts`) }, outdir: join(BUILD, 'server'), outExtension: { '.js': '.mjs' }, format: 'esm', packages: 'external' })
  return join(BUILD, 'server', `${name}.mjs`)
}

/** Compiles a program that loads bundles, so that no sample pays for the removal of its types. */
export async function buildLoader (name: 'cold-loader' | 'warm-loader'): Promise<string> {
  await bundle(name, { entryPoints: { [name]: join(BENCH, `lib/${name}.ts`) }, outdir: BUILD, outExtension: { '.js': '.mjs' }, format: 'esm' })
  return join(BUILD, `${name}.mjs`)
}

/** KiB of code in a bundle's directory. */
export async function codeSize (directory: string): Promise<number> {
  const sizes = await Promise.all(globSync('*.{cjs,mjs}', { cwd: directory }).map(async file => (await stat(join(directory, file))).size))
  return sizes.reduce((sum, size) => sum + size, 0) / 1024
}
