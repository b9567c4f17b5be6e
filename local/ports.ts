import { createServer, type AddressInfo } from 'node:net'
import { StartError } from './start-error.ts'

/** A port of this machine that is free at this moment. */
export async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}

/**
 * A port that a variable asks for, or a free one for 0.
 *
 * @throws {StartError} when it is no port, or taken
 */
export async function portOf (env: NodeJS.ProcessEnv, name: string, byDefault: number, host: string): Promise<number> {
  const text = env[name]?.trim() || String(byDefault)
  const port = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(port <= 65_535)) throw new StartError(`${name} is not valid (expected a port, 0 for a free one)`)
  if (port === 0) return await freePort()
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => { probe.once('error', reject).listen(port, host, resolve) })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new StartError(`Port ${port} is taken: set ${name} to another port, or to 0 for a free one`)
    throw new StartError(`${name}: cannot listen on ${host}:${port} (${code})`)
  }
  await new Promise(resolve => { probe.close(resolve) })
  return port
}
