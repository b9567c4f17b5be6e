import type { Parser, Result } from 'tap-parser'
import { stringify } from 'yaml'

/** One file, or one test with the tests in it. */
export interface Node {
  isOk: boolean
  children: Node[]
}

/** Reads the TAP of a file as it comes, into a tree of tests and a report of each failure. */
export function readTap (file: string, parser: Parser): { node: Node, failures: string[] } {
  const failures: string[] = []
  const report = ({ fullname, diag }: Result) => {
    // Where one process runs many files, names begin with those of the tests around the file.
    const above = `${file} > `
    const at = fullname.indexOf(above)
    failures.push(`✖ ${file} > ${at < 0 ? fullname : fullname.slice(at + above.length)}\n${stringify(diag ?? {}).replace(/^/gm, '    ').trimEnd()}`)
  }
  const watch = (parser: Parser): Node => {
    const node: Node = { isOk: true, children: [] }
    parser.on('child', (child: Parser) => { node.children.push(watch(child)) })
    parser.on('assert', (result: Result) => {
      const { ok, todo, skip, closingTestPoint } = result
      if (ok || todo || skip) return
      // The line that closes a test has its result, including a crash or a timeout.
      const failed = closingTestPoint ? node.children.at(-1)! : node
      if (!closingTestPoint || tally(failed).failed === 0) report(result)
      failed.isOk = false
    })
    return node
  }
  return { node: watch(parser), failures }
}

/** Counts the tests without subtests. A test that failed although all its subtests passed counts as one more failure. */
export function tally ({ isOk, children }: Node): { passed: number, failed: number } {
  if (children.length === 0) return isOk ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  const total = children.map(tally).reduce((sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }))
  return !isOk && total.failed === 0 ? { ...total, failed: 1 } : total
}
