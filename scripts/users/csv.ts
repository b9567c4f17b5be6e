// Rows of a CSV (RFC 4180).

/** The cells of a row of a CSV; `undefined` when its quotes are wrong. */
export function cellsOf (line: string): string[] | undefined {
  const cells: string[] = []
  const cell = /("(?:[^"]|"")*"|[^",]*)(,|$)/y
  for (;;) {
    const match = cell.exec(line)
    if (match === null) return undefined
    cells.push(match[1]!.startsWith('"') ? match[1]!.slice(1, -1).replaceAll('""', '"') : match[1]!)
    if (match[2] === '') return cells
  }
}

/** A value as a cell. */
export const cellFor = (value: string | number): string => /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value)
