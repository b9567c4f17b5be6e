// Compares what cfn-lint, checkov and cdk-nag found in the processed template with what is accepted. Run by .ci/template-checks:
//
//   node test/template/verdict.ts SUPPRESSIONS FINDINGS...        cfn-lint.json, checkov.json and cdk-nag.json
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'yaml'

export interface Finding { rule: string, resource: string, file: string, message: string }

export interface Suppression { rules: string[], resources: string[], reason: string }

interface CfnLint { Rule: { Id: string }, Message: string, Filename: string, Location: { Path: (string | number)[] | null } }
interface Checkov { results: { failed_checks: { check_id: string, check_name: string, resource: string, file_path: string }[] }, summary: { parsing_errors: number, resource_count: number } }

/** What each tool's own output says, in one form. */
const READERS: Record<string, (output: never) => Finding[]> = {
  'cfn-lint': (output: CfnLint[]) => output.map(({ Rule, Message, Filename, Location }) =>
    ({ rule: Rule.Id, resource: Location.Path?.[0] === 'Resources' ? String(Location.Path[1]) : String(Location.Path?.join('.') ?? ''), file: basename(Filename), message: Message })),
  checkov: ({ results, summary }: Checkov) => {
    if (summary.parsing_errors > 0 || summary.resource_count === 0) throw new Error(`checkov could not read the templates: ${JSON.stringify(summary)}`)
    return results.failed_checks.map(({ check_id: rule, check_name: message, resource, file_path: file }) => ({ rule, resource: resource.split('.').at(-1)!, file: basename(file), message }))
  },
  'cdk-nag': ({ findings }: { findings: Finding[] }) => findings
}

function readFindings (tool: string, output: string): Finding[] {
  const reader = READERS[tool]
  if (reader === undefined) throw new Error(`not the output of a tool that is known: ${tool}`)
  return reader(JSON.parse(output) as never)
}

/** Findings that no suppression accepts, once for all the templates they are in, and what suppressions accept that is not there. */
export function verdictOf (findings: Finding[], suppressions: Suppression[]): string[] {
  const faults: string[] = []
  const used = new Set<string>()
  const found = new Map<string, Finding & { files: Set<string> }>()
  for (const finding of findings) {
    const accepted = suppressions.findIndex(({ rules, resources }) => rules.includes(finding.rule) && resources.includes(finding.resource))
    if (accepted !== -1) {
      used.add(`${accepted} ${finding.rule}`).add(`${accepted} ${finding.resource}`)
      continue
    }
    const key = `${finding.rule} ${finding.resource} ${finding.message}`
    const known = found.get(key) ?? { ...finding, files: new Set() }
    known.files.add(finding.file)
    found.set(key, known)
  }
  for (const { rule, resource, message, files } of found.values()) {
    faults.push(`${resource}: ${rule} ${message.replace(/\s+/g, ' ')} (${files.size === 1 ? [...files][0]! : `${files.size} templates, ${[...files][0]!}`})`)
  }
  for (const [i, { rules, resources, reason }] of suppressions.entries()) {
    if (typeof reason !== 'string' || reason.trim().length < 10) faults.push(`the suppression of ${rules.join(', ')} has no reason`)
    for (const name of [...rules, ...resources]) {
      if (!used.has(`${i} ${name}`)) faults.push(`the suppression of ${rules.join(', ')} for ${resources.join(', ')} is not needed: ${name} is not found`)
    }
  }
  return faults
}

if (import.meta.main) {
  const [file = '', ...outputs] = process.argv.slice(2)
  const suppressions = parse(readFileSync(file, 'utf8')) as Suppression[]
  const findings = outputs.flatMap(output => {
    const tool = basename(output, '.json')
    const own = readFindings(tool, readFileSync(output, 'utf8'))
    console.log(`${tool}: ${own.length} findings, of ${new Set(own.map(({ rule, resource }) => `${rule} ${resource}`)).size} kinds`)
    return own
  })
  const faults = verdictOf(findings, suppressions)
  for (const fault of faults) console.error(`FAULT ${fault}`)
  if (faults.length > 0 || outputs.length === 0) process.exitCode = 1
}
