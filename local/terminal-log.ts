import type { DestinationStream } from 'pino'

interface LogLine {
  level: string
  time: string
  msg?: string
  err?: { stack?: string, message?: string, code?: string }
  [field: string]: unknown
}

/** Fields that are the same on every line, or of no use in a terminal. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'err', 'service', 'environment', '_aws'])

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

const plain = (value: unknown) => typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value)

/** Removes terminal control sequences and direction marks from a text, which may contain user input. */
export const printable = (text: string): string => text.replace(/[^\P{Cc}\n]|\p{Cf}/gu, '?')

interface TerminalLogOptions {
  write?: (text: string) => unknown
  /** the least level that is shown. The service writes metrics, which are of the level info, at every level */
  level?: string
}

/** Prints the service's JSON log lines for a terminal: time, level, message, fields, stack. */
export function terminalLog ({ write = text => process.stdout.write(text), level = 'trace' }: TerminalLogOptions = {}): DestinationStream {
  const least = LEVELS.indexOf(level)
  return {
    write (line) {
      const entry = JSON.parse(line) as LogLine
      if (LEVELS.indexOf(entry.level) < least) return
      const fields = Object.entries(entry).filter(([name, value]) => !LEFT_OUT.has(name) && value !== undefined).map(([name, value]) => `${name}=${plain(value)}`)
      const text = [entry.time.slice(11, 23), entry.level.toUpperCase().padEnd(5), entry.msg ?? 'metric', ...fields].join(' ')
      const stack = entry.err === undefined ? '' : `\n  ${(entry.err.stack ?? entry.err.message ?? '').replaceAll('\n', '\n  ')}`
      write(`${printable(text + stack)}\n`)
    }
  }
}
