import { BenchError, type Table } from '../lib/bench.ts'
import type { Results } from '../lib/results.ts'

export interface Measured {
  /** a figure of a row; throws when it is missing */
  figure (benchmark: string, table: string, row: string, key: string): number
  /** tables and indexes with write units */
  places: string[]
}

export function measuredIn (results: Results): Measured {
  const tableOf = (benchmark: string, id: string): Table => {
    const table = results[benchmark]?.tables.find(table => table.id === id)
    if (table === undefined) throw new BenchError(`bench/results.json has no ${id}: npm run bench -- ${benchmark}`)
    return table
  }
  return {
    figure (benchmark, id, name, key) {
      const value = tableOf(benchmark, id).rows.find(row => row.name === name)?.values[key]
      if (value === undefined) throw new BenchError(`bench/results.json has no ${key} of "${name}" in ${id}: npm run bench -- ${benchmark}`)
      return value
    },
    places: tableOf('pipeline', 'pipeline-places').columns.map(({ key }) => key)
  }
}
