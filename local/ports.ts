import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { listenProblem } from '../src/shared/listen-error.ts'
import { StartError } from './start-error.ts'

/**
 * Free ports are chosen between these. Above them, a system also finds the local ports of connections, so that a port which it
 * chose itself (for one that listens on 0) may belong to a connection before it is listened on again.
 */
const LOWEST = 10_240
const HIGHEST = 32_767
const given = new Set<number>()

/** Checks that a port can be listened on. */
async function tryListen (port: number, host: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve) })
  await new Promise(resolve => { server.close(resolve) })
}

/** A port that is free now, and that this process did not get lately. */
export async function freePort (host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    if (given.has(port)) continue
    if (given.size === 1000) given.clear()
    given.add(port)
    try {
      await tryListen(port, host)
      return port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
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
    if (port === 0) return await freePort(host)
    await tryListen(port, host)
    return port
  } catch (error) {
    throw new StartError(listenProblem(error, { host, port, variable }) ?? `${variable}: cannot listen on ${host}:${port} (${(error as Error).message})`)
  }
}
