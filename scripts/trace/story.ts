import { printable } from '../../local/terminal-log.ts'
import { isObject } from '../../src/shared/is-object.ts'

/** A line of the service's log, as plugins/logging.ts writes it. */
interface Line {
  [field: string]: unknown
  level: string
  time: string
  correlationId: string
}

export interface Step {
  /** milliseconds since 1970. A request is logged when it has been answered; its step is at its start */
  at: number
  line: Line
}

function lineIn (text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as unknown
    return isObject(line) && typeof line['time'] === 'string' && typeof line['level'] === 'string' && typeof line['correlationId'] === 'string' ? line as Line : undefined
  } catch {
    return undefined // of the platform, or cut off by a crash
  }
}

/** What was logged under a correlation id, in the order in which it began. */
export function storyOf (lines: string[], id: string): Step[] {
  return lines.flatMap(lineIn).flatMap(line => {
    if (line?.correlationId !== id) return []
    return [{ at: Date.parse(line.time) - Math.round(Number(line['durationMs'] ?? 0)), line }]
  }).sort((a, b) => a.at - b.at)
}

/** Fields that are the same in each line, or that the words of a step have. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'service', 'environment', 'correlationId', 'method', 'route', 'statusCode', 'durationMs', 'eventType', 'waitedMs', 'type', 'err', '_aws', 'RequestSeconds', 'CacheHits', 'CacheMisses'])

/** Which part of the service wrote a line, and what it says. */
function partAndWords (line: Line): [part: string, words: string] {
  const { msg, method, route, statusCode, durationMs, eventType, waitedMs, type } = line
  if (msg === 'answered') return ['request', `${method ?? '?'} ${route ?? 'unknown path'} answered ${statusCode} after ${durationMs ?? '?'} ms`]
  if (eventType !== undefined) return ['outbox', `${eventType} ${msg ?? ''}${waitedMs === undefined ? '' : ` ${waitedMs} ms after it was written`}`]
  if (line['sqsMessageId'] !== undefined || line['messageId'] !== undefined) return ['mail', `${msg ?? ''}${type === undefined ? '' : ` (${type})`}`]
  return ['app', String(msg ?? '')]
}

/** For a reader: a line for each step, with the time since the one before. */
export function textOf (story: Step[], id: string): string {
  const rows = story.map(({ at, line }, i) => {
    const [part, words] = partAndWords(line)
    const { err } = line
    const fields = Object.entries(line).filter(([name]) => !LEFT_OUT.has(name)).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    const isProblem = !['trace', 'debug', 'info'].includes(line.level)
    return [
      new Date(at).toISOString().slice(11, 23),
      (i === 0 ? '' : `+${at - story[i - 1]!.at} ms`).padStart(10),
      part.padEnd(7),
      [isProblem ? `${line.level.toUpperCase()}: ` : '', words, isObject(err) ? ` (${String(err['type'] ?? 'Error')}: ${String(err['message'] ?? '')})` : '', fields.length === 0 ? '' : `  ${fields.join(' ')}`].join('')
    ].join('  ')
  })
  const [first, last] = [story[0]!, story.at(-1)!]
  return printable([`${id}, ${new Date(first.at).toISOString().slice(0, 10)} (UTC)`, '', ...rows, '', `${story.length} steps in ${Math.max(last.at, Date.parse(last.line.time)) - first.at} ms`].join('\n'))
}
