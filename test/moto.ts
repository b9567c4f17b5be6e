import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { startChild } from '../local/child.ts'
import { freePort } from '../local/ports.ts'
import { installedMoto, installMoto } from '../scripts/moto.ts'

export interface Moto {
  /** the address of every AWS service */
  endpoint: string
  /** what makes the SDK, the AWS CLI and the service use it */
  env: Record<string, string>
  /** Runs the AWS CLI with these arguments; resolves to its standard output. Rejects with its error. */
  aws (...args: string[]): Promise<string>
  /** Runs a shell script in which `aws` is the AWS CLI, as for a reader who copies commands from a page. Resolves to its standard output. */
  shell (script: string, env?: Record<string, string>): Promise<string>
}

export const MOTO_NEEDED = 'not run: npm run moto installs it, in about a minute'

/**
 * The directory of moto and the AWS CLI. Where they are not installed, the test is reported as not run; in CI they are
 * installed, and it is a failure if they cannot be.
 */
async function motoPrograms (t: Test): Promise<string | undefined> {
  if (process.env['CI'] !== 'true') {
    const installed = installedMoto()
    if (installed === undefined) t.pass('runs on moto', { skip: MOTO_NEEDED })
    return installed
  }
  try {
    return await installMoto()
  } catch (error) {
    t.fail(`not run: ${(error as Error).message.replace(/\s+/g, ' ')}`)
    return undefined
  }
}

/**
 * An empty AWS account on a free port of this machine.
 *
 * @throws where moto is not installed
 */
export async function startMotoServer () {
  const programs = installedMoto()
  if (programs === undefined) throw new Error(MOTO_NEEDED)
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const server = await startChild({
    name: 'moto',
    command: join(programs, 'moto_server'),
    args: ['-H', '127.0.0.1', '-p', String(port)],
    timeout: 60_000,
    isReady: async () => (await fetch(`${endpoint}/moto-api/data.json`)).ok
  })
  return { kind: 'moto' as const, port, endpoint, stop: server.stop }
}

/** The same for one test: gone when it ends. `undefined` where moto is not installed. */
export async function startMoto (t: Test): Promise<Moto | undefined> {
  const programs = await motoPrograms(t)
  if (programs === undefined) return undefined
  const { endpoint, stop } = await startMotoServer()
  t.teardown(() => stop('SIGKILL'))
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'eu-central-1',
    AWS_DEFAULT_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_PAGER: '',
    AWS_EC2_METADATA_DISABLED: 'true'
  }
  const run = async (command: string, args: string[], more: Record<string, string> = {}) =>
    (await promisify(execFile)(command, args, { env: { PATH: `${programs}:${process.env['PATH']}`, HOME: '/nonexistent', ...env, ...more }, maxBuffer: 2 ** 26 })).stdout
  return {
    endpoint,
    env,
    aws: (...args) => run(join(programs, 'aws'), args),
    shell: (script, more) => run('bash', ['-euo', 'pipefail', '-c', script], more)
  }
}
