import type { DestinationStream } from 'pino'

interface LogLine {
  level: string
  time: string
  msg?: string
  err?: { stack?: string, message?: string, code?: string }
  [field: string]: unknown
}

/** Fields that are the same on every line, or say nothing to a person at a terminal. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'err', 'service', 'environment', '_aws'])

const plain = (value: unknown) => typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value)

/** A text without what a terminal takes for a command, or shows in another order than it is written: it may hold anything. */
export const printable = (text: string): string => text.replace(/[^\P{Cc}\n]|\p{Cf}/gu, '?')

interface TerminalLogOptions {
  write?: (text: string) => unknown
  /** whether lines that only carry metrics are shown; the service writes them at every level */
  withMetrics?: boolean
}

/** Writes the service's JSON log lines in a form for a terminal: time, level, message, fields, stack. */
export function terminalLog ({ write = text => process.stdout.write(text), withMetrics = true }: TerminalLogOptions = {}): DestinationStream {
  return {
    write (line) {
      const entry = JSON.parse(line) as LogLine
      if (!withMetrics && '_aws' in entry) return
      const fields = Object.entries(entry).filter(([name, value]) => !LEFT_OUT.has(name) && value !== undefined).map(([name, value]) => `${name}=${plain(value)}`)
      const text = [entry.time.slice(11, 23), entry.level.toUpperCase().padEnd(5), entry.msg ?? 'metric', ...fields].join(' ')
      const stack = entry.err === undefined ? '' : `\n  ${(entry.err.stack ?? entry.err.message ?? '').replaceAll('\n', '\n  ')}`
      write(`${printable(text + stack)}\n`)
    }
  }
}
