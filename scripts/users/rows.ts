import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Failure, UsageError } from '../command.ts'
import { cellsOf } from './csv.ts'

// Reads users from a file of any size: one row at a time, so that memory does not grow with the file.

export type Format = 'csv' | 'ndjson'

/** A row of the file, counted from 1 without a CSV's header, or why it cannot be read. */
export type Row = { number: number } & ({ value: Record<string, unknown> } | { reason: string })

/** Characters of a row. A registration has 360 at most; a longer row is no row. */
const MAX_ROW = 16_384

/** Columns of a CSV. */
const COLUMNS = ['email', 'name', 'locale']

export function formatOf (file: string, given: string | undefined): Format {
  const format = given ?? /\.(csv|ndjson|jsonl)$/i.exec(file)?.[1]?.toLowerCase().replace('jsonl', 'ndjson')
  if (format !== 'csv' && format !== 'ndjson') throw new UsageError(given === undefined ? `${file} ends with neither .csv nor .ndjson: say --format` : '--format is csv or ndjson')
  return format
}

async function * textOf (file: string, onBytes: (chunk: Buffer) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true }) // removes a byte order mark
  const decode = (chunk?: Buffer) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw new Failure(`${file} is not in UTF-8`)
    }
  }
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    onBytes(chunk)
    yield decode(chunk)
  }
  yield decode()
}

/**
 * The rows of a text, without their line ends. Too long ones are cut off.
 *
 * @param quotes whether a line end between quotes belongs to the row (RFC 4180)
 */
async function * linesOf (text: AsyncIterable<string>, quotes: boolean): AsyncGenerator<{ line: string, isTooLong: boolean, isOpen: boolean }> {
  let line = ''
  let isTooLong = false
  let isOpen = false
  for await (const chunk of text) {
    let start = 0
    const add = (end: number) => {
      isTooLong ||= line.length + end - start > MAX_ROW
      line += chunk.slice(start, Math.min(end, start + Math.max(0, MAX_ROW - line.length)))
      start = end
    }
    for (let i = 0; i < chunk.length; i++) {
      const character = chunk.charCodeAt(i)
      if (quotes && character === 34) isOpen = !isOpen
      if (character !== 10 || (isOpen && !isTooLong)) continue
      add(i)
      yield { line: line.replace(/\r$/, ''), isTooLong, isOpen }
      start = i + 1
      line = ''
      isTooLong = isOpen = false
    }
    add(chunk.length)
  }
  if (line !== '') yield { line, isTooLong, isOpen }
}

function columnsOf (file: string, header: string): string[] {
  const columns = cellsOf(header)?.map(name => name.trim()) ?? []
  const unknown = columns.find((name, i) => !COLUMNS.includes(name) || columns.indexOf(name) !== i)
  if (unknown !== undefined || !columns.includes('email') || !columns.includes('name')) {
    throw new UsageError(`The first line of ${file} must name the columns: email and name, and locale if there is one`)
  }
  return columns
}

function csvRow (line: string, columns: string[]): { value: Record<string, unknown> } | { reason: string } {
  const cells = cellsOf(line)
  if (cells === undefined) return { reason: 'a quote stands where none can' }
  if (cells.length !== columns.length) return { reason: `has ${cells.length} cells, and the first line ${columns.length}` }
  // An empty locale is none.
  return { value: Object.fromEntries(columns.flatMap((name, i) => name === 'locale' && cells[i] === '' ? [] : [[name, cells[i]]])) }
}

function jsonRow (line: string): { value: Record<string, unknown> } | { reason: string } {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { value: value as Record<string, unknown> } : { reason: 'is not a JSON object' }
  } catch {
    return { reason: 'is not JSON' }
  }
}

/**
 * Reads the rows of a file. Empty lines are left out.
 *
 * @throws {UsageError} when the columns of a CSV are not known
 * @throws {Failure} when the file is not in UTF-8, or a quote of a CSV is not closed
 */
export async function * readRows (file: string, format: Format, onBytes: (chunk: Buffer) => void = () => {}): AsyncGenerator<Row> {
  let columns: string[] | undefined
  let number = 0
  for await (const { line, isTooLong, isOpen } of linesOf(textOf(file, onBytes), format === 'csv')) {
    if (line.trim() === '') continue
    if (format === 'csv' && columns === undefined) {
      columns = columnsOf(file, line)
      continue
    }
    number++
    if (isOpen) throw new Failure(`${file}: a quote in row ${number} is not closed`)
    if (isTooLong) yield { number, reason: `has more than ${MAX_ROW} characters` }
    else yield { number, ...(format === 'csv' ? csvRow(line, columns!) : jsonRow(line)) }
  }
  if (format === 'csv' && columns === undefined) columnsOf(file, '')
}

/** Reads a file once: how many rows it has, and what its content is. */
export async function surveyRows (file: string, format: Format, onRow: (row: Row) => void = () => {}): Promise<{ rows: number, digest: string }> {
  const hash = createHash('sha256')
  let rows = 0
  for await (const row of readRows(file, format, chunk => { hash.update(chunk) })) {
    onRow(row)
    rows++
  }
  return { rows, digest: hash.digest('hex') }
}
