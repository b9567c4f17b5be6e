import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation { id: string, help: string, nodes: { html: string }[] }

/** What axe finds on a page as it is now, one line each: the rule, and the element. `leaveOut` is a selector of what is not ours. */
export async function axeFindings (page: Page, leaveOut?: string): Promise<string[]> {
  // As text, which a page's own policy does not stop.
  await page.evaluate(AXE)
  const context = leaveOut === undefined ? 'document' : JSON.stringify({ exclude: [[leaveOut]] })
  const violations = await page.evaluate<Violation[]>(`axe.run(${context}, { resultTypes: ['violations'] }).then(({ violations }) => violations)`)
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`))
}
