import { assignments, countOf } from './covering.ts'
import { createDecider, openReferencesOf, referencesOf, resourcesOf, type Reference, type Template } from './evaluate.ts'
import { wildcardFaults } from './iam.ts'
import type { Row, Switch } from './parameters.ts'

// ── Of a template whose conditions are decided ───────────────────────────────────────────────────────────────────────

/** Circles of references, which CloudFormation refuses. */
function circles ({ Resources }: Pick<Template, 'Resources'>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  function visit (id: string, path: string[]) {
    if (path.includes(id)) found.push([...path.slice(path.indexOf(id)), id].join(' → '))
    else if (!done.has(id)) {
      for (const next of new Set(referencesOf(Resources[id]))) if (next in Resources) visit(next, [...path, id])
      done.add(id)
    }
  }
  for (const id of Object.keys(Resources)) visit(id, [])
  return found
}

/** References to what a condition has left out. */
export function danglingReferences (template: Template): string[] {
  const known = new Set([...Object.keys(template.Resources), ...Object.keys(template.Parameters)])
  return Object.entries({ ...template.Resources, Outputs: template.Outputs }).flatMap(([id, resource]) =>
    [...new Set(referencesOf(resource))].filter(name => !known.has(name) && !name.startsWith('AWS::')).map(name => `${id} refers to ${name}, which is not there`))
}

/** What an alias is must move with a release and be watched while it does, unless a parameter says that no alarm rolls back. */
function deploymentFaults (template: Template, rollsBack = true): string[] {
  return resourcesOf(template, 'AWS::Lambda::Function').filter(([, { Properties }]) => Properties['Code'].S3Key === 'dist/lambda').flatMap(([id]) => {
    const alias = template.Resources[`${id}Aliaslive`] as unknown as { UpdatePolicy?: { CodeDeployLambdaAliasUpdate?: { BeforeAllowTrafficHook?: object } }, Properties: { FunctionVersion: { 'Fn::GetAtt': [string] } } } | undefined
    const group = template.Resources[`${id}DeploymentGroup`]?.Properties
    const faults: string[] = []
    if (alias?.UpdatePolicy?.CodeDeployLambdaAliasUpdate?.BeforeAllowTrafficHook === undefined) faults.push(`${id}: nothing tries a version before it gets traffic`)
    if (rollsBack && !(group?.['AlarmConfiguration']?.Alarms?.length > 0)) faults.push(`${id}: no alarm rolls back`)
    if (alias?.Properties.FunctionVersion['Fn::GetAtt'][0] !== `${id}Version${'a'.repeat(10)}`) faults.push(`${id}: a release does not publish a version`)
    return faults
  })
}

/** A function without a log group of its own would create one that keeps everything, and is allowed to by no role here. */
export function logFaults (template: Template): string[] {
  return resourcesOf(template, 'AWS::Lambda::Function').flatMap(([id, { Properties }]) => {
    const group = template.Resources[Properties['LoggingConfig']?.LogGroup?.Ref ?? '']
    return group?.Properties['RetentionInDays'] === undefined ? [`${id}: its log group has no retention`] : []
  })
}

export function faultsOf (template: Template, parameters: Row = {}): string[] {
  return [...circles(template), ...danglingReferences(template), ...wildcardFaults(template), ...logFaults(template), ...deploymentFaults(template, parameters['RollbackAlarms'] !== 'false')]
}

// ── Of a template whose conditions are open: for every combination of its parameters ─────────────────────────────────

/** How many combinations one question may need. A reference depends on few conditions. */
const LIMIT = 100_000

type Needs = Reference['when']

/** Finds a combination that the rules permit and in which conditions are as they are needed; `undefined` when there is none. */
type Solver = (needs: Needs) => Row | undefined

/**
 * @param switches of the template
 * @param completes whether the rules permit a combination of some switches
 */
export function createSolver (template: Template, switches: Switch[], completes: (given: ReadonlyMap<string, string>) => boolean): Solver {
  const byName = new Map(switches.map(item => [item.name, item]))
  const read = new Map<string, Set<string>>()
  /** Switches that a condition reads, directly or through other conditions. */
  function switchesIn (condition: string): Set<string> {
    let names = read.get(condition)
    if (names !== undefined) return names
    read.set(condition, names = new Set())
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [key, item] of Object.entries(value)) {
        if (key === 'Ref') names!.add(String(item))
        else if (key === 'Condition') for (const name of switchesIn(String(item))) names!.add(name)
        else visit(item)
      }
    }
    visit(template.Conditions[condition])
    return names
  }

  return needs => {
    const own = [...new Set(needs.flatMap(([condition]) => [...switchesIn(condition)]))].map(name => byName.get(name)!)
    if (countOf(own) > LIMIT) throw new RangeError(`too many parameters decide ${JSON.stringify(needs)}`)
    for (const row of assignments(own)) {
      const holds = createDecider(template, row)
      if (needs.every(([condition, expected]) => holds({ Condition: condition }) === expected) && completes(new Map(Object.entries(row)))) return row
    }
    return undefined
  }
}

interface Edge extends Reference { from: string }

/** Every reference of a template, with the conditions under which it is there. */
function edgesOf (template: Template): Edge[] {
  const owners = [...Object.entries(template.Resources), ...Object.entries(template.Outputs ?? {}).map(([id, output]) => [`Outputs.${id}`, output] as const)]
  return owners.flatMap(([owner, { Condition, ...rest }]) =>
    openReferencesOf(rest, Condition === undefined ? [] : [[Condition, true]]).map(reference => ({ ...reference, from: owner })))
}

const textOf = (row: Row) => Object.entries(row).map(([name, value]) => `${name}=${value}`).join(' ') || 'any parameters'

/** References to what may not be there. All combinations are decided: each reference by the few conditions that it depends on. */
export function openDanglingReferences (template: Template, solve: Solver): { faults: string[], references: number, conditional: number } {
  const edges = edgesOf(template).filter(({ to }) => !to.startsWith('AWS') && !(to in template.Parameters))
  const faults = new Set<string>()
  let conditional = 0
  for (const { from, to, when } of edges) {
    const target = template.Resources[to]
    if (target !== undefined && target.Condition === undefined) continue
    conditional++
    const row = solve(target === undefined ? when : [...when, [target.Condition!, false]])
    if (row !== undefined) faults.add(`${from} refers to ${to}, which is not there with ${textOf(row)}`)
  }
  return { faults: [...faults], references: edges.length, conditional }
}

/** Circles that some combination closes. */
export function openCircles (template: Template, solve: Solver): string[] {
  const edges = edgesOf(template).filter(({ from, to }) => from in template.Resources && to in template.Resources)
  const next = new Map<string, Edge[]>()
  for (const edge of edges) next.set(edge.from, [...next.get(edge.from) ?? [], edge])
  // What cannot be on a circle is left out: first what refers to nothing that is left, again and again.
  for (let removed = true; removed;) {
    removed = false
    for (const [from, all] of next) {
      const left = all.filter(({ to }) => next.has(to))
      if (left.length === all.length) continue
      removed = true
      if (left.length === 0) next.delete(from)
      else next.set(from, left)
    }
  }
  const found = new Set<string>()
  function visit (start: string, at: string, path: Edge[]) {
    for (const edge of next.get(at) ?? []) {
      // Each circle is looked at once, from the first of its resources.
      if (edge.to < start || path.some(({ from }) => from === edge.to && from !== start)) continue
      const circle = [...path, edge]
      if (edge.to !== start) {
        visit(start, edge.to, circle)
        continue
      }
      const needs = circle.flatMap(({ from, when }) => [...when, ...template.Resources[from]!.Condition === undefined ? [] : [[template.Resources[from]!.Condition!, true] as [string, boolean]]])
      const row = solve(needs)
      if (row !== undefined) found.add(`${[start, ...circle.map(({ to }) => to)].join(' → ')} with ${textOf(row)}`)
    }
  }
  for (const start of next.keys()) visit(start, start, [])
  return [...found]
}
