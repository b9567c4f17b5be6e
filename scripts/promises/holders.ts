import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The test files that report figures, with the numbers of the promises: each file in which `report` is called with `promise: 13`.
 * The tests of the runner itself, in test/promises, quote such calls.
 */
export function findHolders (root: string): Map<string, number[]> {
  const files = globSync('test/**/*.test.ts', { cwd: root, exclude: ['**/fixtures/**', 'test/promises/**'] }).sort()
  return new Map(files.flatMap((file): [string, number[]][] => {
    const text = readFileSync(join(root, file), 'utf8')
    if (!/\breport\b.*promise\.ts'/.test(text)) return []
    const numbers = [...text.matchAll(/\bpromise: (\d+)\b/g)].map(([, number]) => Number(number))
    return numbers.length === 0 ? [] : [[file, [...new Set(numbers)].sort((a, b) => a - b)]]
  }))
}
