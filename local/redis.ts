import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { startChild, type Child } from './child.ts'
import { freePort } from './ports.ts'
import { StartError } from './start-error.ts'

/** Redis or its fork Valkey; either works. */
export const REDIS_COMMANDS = ['redis-server', 'valkey-server'] as const

/** The command of the Redis server on this machine; `undefined` when none is installed. */
export function findRedis (): string | undefined {
  return REDIS_COMMANDS.find(command => {
    try {
      execFileSync(command, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

export interface RedisEngine extends Child {
  readonly port: number
  readonly url: string
}

function ping (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false)).once('data', data => { resolve(String(data).startsWith('+PONG')); socket.destroy() })
    socket.end('PING\r\n')
  })
}

/** Starts a Redis server that stores nothing on disk and ends with this process. */
export async function startRedis ({ port }: { port?: number } = {}): Promise<RedisEngine> {
  const command = findRedis()
  if (command === undefined) throw new StartError(`Redis cannot start: neither ${REDIS_COMMANDS.join(' nor ')} is installed (Debian: apt-get install redis-server)`)
  const actualPort = port ?? await freePort()
  const child = await startChild({
    name: 'Redis',
    command,
    args: ['--bind', '127.0.0.1', '--port', String(actualPort), '--save', '', '--appendonly', 'no'],
    isReady: () => ping(actualPort)
  })
  return { ...child, port: actualPort, url: `redis://127.0.0.1:${actualPort}` }
}
