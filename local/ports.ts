import { createServer, type AddressInfo } from 'node:net'
import { listenProblem } from '../src/shared/listen-error.ts'
import { StartError } from './start-error.ts'

/** Checks that a port can be listened on, and resolves to the port. */
async function tryListen (port: number, host: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve) })
  const { port: bound } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return bound
}

/** A port of this machine that is free now. */
export async function freePort (): Promise<number> {
  return await tryListen(0, '127.0.0.1')
}

/**
 * The port that a variable sets, or a free one for 0.
 *
 * @throws {StartError} when it is not a port or cannot be listened on
 */
export async function portOf (env: NodeJS.ProcessEnv, variable: string, byDefault: number, host: string): Promise<number> {
  const text = env[variable]?.trim() || String(byDefault)
  const port = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(port <= 65_535)) throw new StartError(`${variable} is not valid (expected a port, 0 for a free one)`)
  try {
    return await tryListen(port, host)
  } catch (error) {
    throw new StartError(listenProblem(error, { host, port, variable }) ?? `${variable}: cannot listen on ${host}:${port} (${(error as Error).message})`)
  }
}
