import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { constants } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { parseDocument, type Document } from 'yaml'
import { CONTAINER_HOST as HOST } from '../local/aws.ts'
import { buildLambda } from './build/lambda.ts'

/** The port after that of `npm start`, which runs at the same time. */
const DEFAULT_PORT = '3001'

const ROOT = join(import.meta.dirname, '..')

const USAGE = `npm run sam:local [-- options of sam local start-api]

Runs the Lambda artifact in AWS's own container image, behind the API of template.yaml, against the engines of a running
npm start. Needs Docker and the SAM CLI.

  SAM_PORT        port of the API (${DEFAULT_PORT})
  LOCAL_DATA_DIR  the data directory of that npm start (.local)`

/** The environment of a running `npm start` for a container: to it, the engines are on another machine. */
export function containerEnv (dotenv: string, publicUrl: string): Record<string, string> {
  const given = parseEnv(dotenv) as Record<string, string>
  const env = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.replace(/(?<=:\/\/(?:[^@/]*@)?)(?:127\.0\.0\.1|localhost)(?=[:/]|$)/, HOST)]))
  // A container's own cache would not see the writes of others. As in the template, there is no cache unless it is shared.
  return { ...env, PUBLIC_URL: publicUrl, CACHE_TTL_SECONDS: '0' }
}

/** The ports on this machine that occur in an environment for containers. */
export function portsOf (env: Record<string, string>): number[] {
  const ports = Object.values(env).map(value => new RegExp(`${HOST.replaceAll('.', '\\.')}:(\\d+)`).exec(value)?.[1])
  return [...new Set(ports.filter(port => port !== undefined).map(Number))]
}

/**
 * Adapts the template for `sam local`. It declares all variables, because undeclared ones would be dropped. It corrects
 * the relative path of the artifact. It sets this machine's architecture, because another one would be emulated. The API
 * refers to the function's ARN, because `sam local` does not resolve aliases. And the HTTP API is gone: `sam local` does not
 * decide conditions, and would serve both APIs at once.
 */
export function localTemplate (source: string, names: string[]): Document {
  const template = parseDocument(source.replaceAll('Function.Alias}', 'Function.Arn}'), { logLevel: 'silent' })
  const variables = ['Globals', 'Function', 'Environment', 'Variables']
  for (const name of names) if (!template.hasIn([...variables, name])) template.setIn([...variables, name], '')
  template.setIn(['Globals', 'Function', 'Architectures'], [process.arch === 'arm64' ? 'arm64' : 'x86_64'])
  for (const [id, { Condition, Properties }] of Object.entries(template.toJS().Resources as Record<string, { Condition?: string, Properties?: { CodeUri?: string } }>)) {
    if (Condition === 'IsHttpApi') template.deleteIn(['Resources', id])
    if (typeof Properties?.CodeUri === 'string') template.setIn(['Resources', id, 'Properties', 'CodeUri'], join(ROOT, Properties.CodeUri))
  }
  return template
}

/** Values for every variable in the template, because most of its own values name resources that exist only on AWS. */
export function overrides (template: Document, env: Record<string, string>): Record<string, string> {
  const { Globals, Resources } = template.toJS() as { Globals: { Function: FunctionProperties }, Resources: Record<string, { Properties?: FunctionProperties }> }
  const declared = [Globals.Function, ...Object.values(Resources).map(({ Properties }) => Properties)].flatMap(properties => Object.keys(properties?.Environment?.Variables ?? {}))
  return { ...Object.fromEntries(declared.map(name => [name, ''])), ...env }
}

interface FunctionProperties { Environment?: { Variables?: Record<string, unknown> } }

/** The host's address in Docker's network on Linux; `undefined` when Docker runs in a virtual machine, which has a name for the host. */
function bridgeAddress (): string | undefined {
  if (process.platform !== 'linux') return undefined
  const format = '{{range .IPAM.Config}}{{.Gateway}}{{end}}'
  try {
    const address = execFileSync('docker', ['network', 'inspect', 'bridge', '--format', format], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    if (address !== '') return address
  } catch {
    // Without the command, or with another engine behind it: Docker's default address.
  }
  return '172.17.0.1'
}

/** Runs a command and returns its output; `undefined` when the command does not exist. */
function ask (command: string, args: string[]): { status: number, said: string } | undefined {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return error === undefined ? { status: status ?? 1, said: (stderr || stdout).trim().split('\n')[0]! } : undefined
}

/** @throws with one line, when a required tool is missing */
function requireTools (): void {
  if (ask('sam', ['--version']) === undefined) throw new Error('The SAM CLI is missing (pip install aws-sam-cli)')
  const docker = ask('docker', ['version', '--format', '{{.Server.Version}}'])
  // With DOCKER_HOST set, another engine may be in use without the docker command.
  if (docker === undefined && !process.env['DOCKER_HOST']) throw new Error('Docker is missing')
  if (docker !== undefined && docker.status !== 0) throw new Error(`Docker does not run (${docker.said})`)
}

/** Forwards ports from the bridge's address to the engines, which listen only on loopback, where no container reaches them. */
async function forward (address: string, ports: number[]): Promise<Server[]> {
  return await Promise.all(ports.map(port => new Promise<Server>((resolve, reject) => {
    const server = createServer(client => {
      const engine = connect(port, '127.0.0.1')
      client.pipe(engine).pipe(client)
      for (const [one, other] of [[client, engine], [engine, client]] as const) one.on('error', () => other.destroy())
    })
    server.once('error', reject).listen(port, address, () => resolve(server))
  })))
}

async function main () {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) return console.log(USAGE)
  requireTools()
  const envFile = join(process.env['LOCAL_DATA_DIR']?.trim() || '.local', 'env')
  let dotenv: string
  try {
    dotenv = readFileSync(envFile, 'utf8')
  } catch {
    throw new Error(`${envFile} does not exist: start the engines with npm start in another terminal`)
  }
  const port = process.env['SAM_PORT']?.trim() || DEFAULT_PORT
  const env = containerEnv(dotenv, `http://localhost:${port}`)

  await buildLambda(join(ROOT, 'dist/lambda'))
  const directory = join(ROOT, '.aws-sam/local')
  mkdirSync(directory, { recursive: true })
  const template = localTemplate(readFileSync(join(ROOT, 'template.yaml'), 'utf8'), Object.keys(env))
  writeFileSync(join(directory, 'template.yaml'), template.toString())
  writeFileSync(join(directory, 'env.json'), JSON.stringify({ Parameters: overrides(template, env) }, null, 2), { mode: 0o600 })

  const address = bridgeAddress()
  const servers = address === undefined ? [] : await forward(address, portsOf(env))
  const sam = spawn('sam', [
    'local', 'start-api',
    '--template', join(directory, 'template.yaml'),
    '--env-vars', join(directory, 'env.json'),
    '--port', port,
    '--warm-containers', 'LAZY',
    ...(address === undefined ? [] : ['--add-host', `${HOST}:${address}`]),
    ...args
  ], { stdio: 'inherit', env: { SAM_CLI_TELEMETRY: '0', ...process.env } })
  // Ctrl-C reaches both processes. This one waits while sam removes its containers, which sam does only on this signal.
  let interrupted: number | undefined
  process.on('SIGINT', () => { interrupted = 130 })
  process.on('SIGTERM', () => {
    interrupted = 143
    sam.kill('SIGINT')
  })
  process.exitCode = await new Promise<number>((resolve, reject) => {
    sam.on('error', reject)
    // A signal may have ended sam before it is handled here.
    sam.on('close', (code, signal) => resolve(interrupted ?? code ?? 128 + constants.signals[signal!]))
  }).finally(() => { for (const server of servers) server.close() })
}

if (import.meta.main) {
  main().catch((error: Error) => {
    console.error(error.message)
    process.exit(1)
  })
}
