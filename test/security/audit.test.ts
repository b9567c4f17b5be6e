import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { report, SIZE } from '../promise.ts'

interface Audit { message?: string, metadata?: { vulnerabilities: Record<'info' | 'low' | 'moderate' | 'high' | 'critical', number>, dependencies: { total: number } } }

const NEEDS = SIZE === 'short' && 'not run: needs the registry, see npm run promises'

t.test('what is shipped has no known vulnerability of a high severity', { skip: NEEDS }, async t => {
  const run = promisify(execFile)('npm', ['audit', '--omit=dev', '--json'], { timeout: 60_000 })
  // npm exits with 1 when it finds anything, of any severity.
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  const { metadata, message } = JSON.parse(stdout) as Audit
  // Said as a figure that does not hold: the catalogue of the promises has the cause.
  if (metadata === undefined) return report(t, { promise: 34, part: 'known vulnerabilities', figure: `not measured: the registry in use has no audit service (${String(message).split(' ')[0]})`, holds: false })
  const { high, critical, moderate, low } = metadata.vulnerabilities
  report(t, {
    promise: 34,
    part: 'known vulnerabilities',
    figure: `${metadata.dependencies.total} packages: ${critical} critical, ${high} high, ${moderate} moderate, ${low} low`,
    holds: high + critical === 0
  })
})
