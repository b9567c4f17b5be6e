// The template for combinations of its parameters, which are read from the template itself. Run by .ci/template-checks:
//
//   node test/template/matrix.ts plan TEMPLATE ROWS        writes the combinations, for transform.py --rows
//   node test/template/matrix.ts write DIRECTORY OUT       reads what transform.py made, checks it, and writes one template
//                                                          without parameters for each combination to OUT/pairs and OUT/triples
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseTemplate } from '../../local/template.ts'
import { assignments, countOf, cover, createCompleter } from './covering.ts'
import { evaluate, type Template } from './evaluate.ts'
import { instantiate, isPermitted, parametersOfRules, restOfRow, switchesOf, type Row, type Switch } from './parameters.ts'
import { createSolver, faultsOf, openCircles, openDanglingReferences } from './structure.ts'

/** Names of rows: `pair-…` holds every pair of values, `triple-…` with them every triple. Other names are stages. */
const isTriple = (name: string) => name.startsWith('triple-')

function completerOf (template: Template, switches: Switch[]) {
  const names = parametersOfRules(template)
  return createCompleter(switches.filter(({ name }) => names.has(name)), row => isPermitted(template, row))
}

export function planOf (template: Template) {
  const switches = switchesOf(template)
  const completes = completerOf(template, switches)
  const pairs = cover(switches, 2, completes)
  const triples = cover(switches, 3, completes, pairs)
  const named = (kind: string, rows: Row[], start: number) => rows.map((row, i): [string, Row] =>
    [`${kind}-${String(i + 1).padStart(2, '0')}`, { ...restOfRow(template, switches, start + i), ...row }])
  return { switches, completes, rows: Object.fromEntries([...named('pair', pairs, 0), ...named('triple', triples, pairs.length)]) }
}

function plan (file: string, target: string) {
  const template = parseTemplate(readFileSync(file, 'utf8')) as unknown as Template
  const { switches, rows } = planOf(template)
  writeFileSync(target, JSON.stringify(rows))
  const read = parametersOfRules(template)
  const [ruled, free] = [switches.filter(({ name }) => read.has(name)), switches.filter(({ name }) => !read.has(name))]
  const permitted = countOf(free) * [...assignments(ruled)].filter(row => isPermitted(template, row)).length
  const names = Object.keys(rows)
  console.log(`${switches.length} parameters decide what a stack has: ${permitted.toLocaleString('en')} combinations that the rules permit`)
  console.log(`${names.filter(name => !isTriple(name)).length} of them hold every pair of values, ${names.length} every three`)
}

function write (directory: string, out: string) {
  const files = readdirSync(directory).filter(name => name.endsWith('.json')).sort()
  for (const folder of ['pairs', 'triples']) mkdirSync(join(out, folder), { recursive: true })
  const faults: string[] = []
  let proof: string | undefined
  let resources = 0
  for (const file of files) {
    const name = file.slice(0, -'.json'.length)
    const { template, parameters } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as { template: Template, parameters: Row }
    if (proof === undefined) {
      const switches = switchesOf(template)
      const solve = createSolver(template, switches, completerOf(template, switches))
      const dangling = openDanglingReferences(template, solve)
      faults.push(...dangling.faults, ...openCircles(template, solve))
      proof = `${dangling.references} references, ${dangling.conditional} of them to what may be left out, were decided for every combination; so were circles`
    }
    const evaluated = evaluate(template, parameters)
    faults.push(...faultsOf(evaluated, parameters).map(fault => `${name}: ${fault}`))
    resources += Object.keys(evaluated.Resources).length
    writeFileSync(join(out, isTriple(name) ? 'triples' : 'pairs', file), JSON.stringify(instantiate(template, parameters), undefined, 1))
  }
  console.log(proof ?? 'no template was there to look at')
  console.log(`${files.length} templates were looked at, ${resources} resources`)
  for (const fault of faults) console.error(`FAULT ${fault}`)
  if (faults.length > 0 || files.length === 0) process.exitCode = 1
}

if (import.meta.main) {
  const [command, ...files] = process.argv.slice(2)
  if (files.length !== 2 || (command !== 'plan' && command !== 'write')) throw new Error('usage: matrix.ts plan TEMPLATE ROWS | matrix.ts write DIRECTORY OUT')
  if (command === 'plan') plan(files[0]!, files[1]!)
  else write(files[0]!, files[1]!)
}
