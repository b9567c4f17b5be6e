import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readOptions } from './options.ts'
import { interruptible } from './signals.ts'

/** The runtime client of Lambda's Node images, as AWS publishes it. */
const PACKAGE = 'aws-lambda-ric'
const VERSION = '4.0.2'

const CACHE = join(import.meta.dirname, '../.cache')
const DIRECTORY = join(CACHE, `ric-${VERSION}`)
const ENTRY = join(DIRECTORY, 'node_modules', PACKAGE, 'index.mjs')
const CLIENT = join(DIRECTORY, 'node_modules', PACKAGE, 'rapid-client.node')

/** The entry of the runtime client, if it has been built. */
export const builtRuntimeClient = (): string | undefined => existsSync(CLIENT) ? ENTRY : undefined

/** Node's headers, if this Node installation has them; otherwise node-gyp downloads them. */
const NODE_DIRECTORY = join(dirname(process.execPath), '..')

/**
 * Builds Lambda's runtime client once, in about a minute; needs cmake, make, a C++ compiler and Python. It is not in
 * `package.json`, so that `npm ci` does not have to build it.
 *
 * @returns the path of its entry
 * @throws when it cannot be built, with the end of the build's output
 */
export async function buildRuntimeClient (signal?: AbortSignal): Promise<string> {
  if (existsSync(CLIENT)) return ENTRY
  await mkdir(CACHE, { recursive: true })
  const directory = await mkdtemp(join(CACHE, 'ric-building-'))
  try {
    await writeFile(join(directory, 'package.json'), '{"private":true}')
    const headers = existsSync(join(NODE_DIRECTORY, 'include/node/node.h')) ? [`--nodedir=${NODE_DIRECTORY}`] : []
    const log = join(directory, 'build.log')
    const code = await run(directory, log, ['install', `${PACKAGE}@${VERSION}`, '--no-audit', '--no-fund', '--foreground-scripts', ...headers], signal)
    if (code !== 0) throw new Error(`${PACKAGE} cannot be built: …${(await readFile(log, 'utf8')).slice(-600)}`)
    // Two test files may build it at the same time; the first one wins.
    await rename(directory, DIRECTORY).catch(error => { if (!existsSync(CLIENT)) throw error })
    return ENTRY
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function run (cwd: string, log: string, args: string[], signal: AbortSignal | undefined): Promise<number | null> {
  const npm = spawn('npm', args, { cwd, signal, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` } })
  const chunks: Buffer[] = []
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', chunk => chunks.push(chunk))
  const code = await new Promise<number | null>((resolve, reject) => { npm.on('close', resolve).on('error', error => { if (error.name !== 'AbortError') reject(error) }) })
  await writeFile(log, Buffer.concat(chunks))
  return code
}

const HELP = `npm run runtime-client: builds Lambda's own runtime client (${PACKAGE} ${VERSION}) once, in about a minute, for tests
that need it. It is kept in .cache, and its path is printed. Needs cmake, make, a C++ compiler, Python and the network.
`

if (import.meta.main) {
  readOptions(HELP)
  if (!existsSync(CLIENT)) console.error(`Building ${PACKAGE} ${VERSION}, which takes about a minute …`)
  await interruptible(async signal => { console.log(await buildRuntimeClient(signal)) }).catch((error: Error) => {
    console.error(error.message)
    process.exit(1)
  })
}
