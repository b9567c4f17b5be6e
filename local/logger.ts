import type { Config } from '../src/plugins/config.ts'
import { createLogger } from '../src/plugins/logging.ts'
import { openLogFiles } from './log-files.ts'
import { terminalLog } from './terminal-log.ts'

/** The log of a local system, for a terminal. Metrics are lines of the level info. */
export const localLogger = (config: Config) => createLogger(config, terminalLog({ level: config.LOG_LEVEL }))

/** The same, which also keeps lines from the level info on in a directory, whatever the terminal shows. */
export function keptLogger (config: Config, directory: string) {
  const files = openLogFiles(directory)
  const terminal = terminalLog({ level: config.LOG_LEVEL })
  const isDetailed = config.LOG_LEVEL === 'trace' || config.LOG_LEVEL === 'debug'
  return createLogger({ ...config, LOG_LEVEL: isDetailed ? config.LOG_LEVEL : 'info' }, {
    write (line) {
      files.write(line)
      terminal.write(line)
    }
  })
}
