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

/** Writes the service's JSON log lines in a form for a person: time, level, message, fields, stack. */
export function terminalLog (write: (text: string) => unknown = text => process.stdout.write(text)): DestinationStream {
  return {
    write (line) {
      const entry = JSON.parse(line) as LogLine
      const fields = Object.entries(entry).filter(([name, value]) => !LEFT_OUT.has(name) && value !== undefined).map(([name, value]) => `${name}=${plain(value)}`)
      const text = [entry.time.slice(11, 23), entry.level.toUpperCase().padEnd(5), entry.msg ?? 'metric', ...fields].join(' ')
      const stack = entry.err === undefined ? '' : `\n  ${(entry.err.stack ?? entry.err.message ?? '').replaceAll('\n', '\n  ')}`
      // What came from outside may hold anything, terminal commands too.
      // eslint-disable-next-line no-control-regex
      write(`${(text + stack).replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, '?')}\n`)
    }
  }
}
