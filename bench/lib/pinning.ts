import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Whether a process can be kept on one core, so that the load generator does not take time from the server. */
const isPossible = process.platform === 'linux' && availableParallelism() > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0

/** A command that runs on one core, where that is possible. */
export function pinned (core: 0 | 1, command: string, args: string[]): [command: string, args: string[]] {
  return isPossible ? ['taskset', ['-c', String(core), command, ...args]] : [command, args]
}

/** The command that runs Node on one core, where that is possible. */
export const pinnedNode = (core: 0 | 1, args: string[]) => pinned(core, process.execPath, args)

export const PINNING = isPossible ? 'The server has one core, and the load generator and the readers of the logs another.' : 'Server and load generator share all cores: there is no taskset here, or one core only.'
