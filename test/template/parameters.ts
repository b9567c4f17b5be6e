import { evaluate, refusals, type Template } from './evaluate.ts'

/** A parameter that conditions or rules read, with one value for each case that they distinguish. */
export interface Switch { name: string, values: string[] }

/** Values of parameters by name; of pseudo parameters too, such as `AWS::Region`. */
export type Row = Record<string, string>

/** A value for each parameter that has no default, or that conditions test for being empty. */
export const SAMPLES: Record<'EmailFrom' | 'SesIdentity' | 'HostedZoneId', string> & Row = {
  EmailFrom: 'Example <no-reply@example.com>',
  SesIdentity: 'example.com',
  DomainName: 'users.example.com',
  CertificateArn: 'arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-4000-8000-000000000000',
  HostedZoneId: 'Z0123456789ABCDEFGHIJ',
  CorsOrigin: 'https://www.example.com,https://admin.example.com',
  PublicUrl: 'https://users.example.com',
  PermissionsBoundaryArn: 'arn:aws:iam::123456789012:policy/boundary',
  CodeSigningConfigArn: 'arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0123456789abcdef0',
  LambdaInsightsLayer: 'arn:aws:lambda:eu-central-1:580247275435:layer:LambdaInsightsExtension-Arm64:20',
  CostAnomalyMonitorArn: 'arn:aws:ce::123456789012:anomalymonitor/00000000-0000-4000-8000-000000000000',
  'AWS::Region': 'eu-central-1'
}

/** The same by how the name ends, for parameters that are added. */
const BY_ENDING: [ending: RegExp, sample: string][] = [
  [/(Kms|Key).*Arn$/, 'arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000'],
  [/PolicyArn$/, 'arn:aws:iam::123456789012:policy/example'],
  [/RoleArn$/, 'arn:aws:iam::123456789012:role/example'],
  [/Arn$/, 'arn:aws:sns:eu-central-1:123456789012:example'],
  [/Email$/, 'operators@example.com'],
  [/Emails$/, 'a@example.com,b@example.com'],
  [/Url$/, 'https://www.example.com/page'],
  [/Region$/, 'eu-west-1'],
  [/(Path|Dir)$/, 'example'],
  [/./, 'example']
]

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws where the template does not allow the value that is known here */
function sampleOf (template: Template, name: string): string {
  const { AllowedPattern: pattern, Type: type } = template.Parameters[name] ?? {}
  const value = SAMPLES[name] ?? (type === 'Number' ? '30' : BY_ENDING.find(([ending]) => ending.test(name))![1])
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) {
    throw new Error(`SAMPLES in test/template/parameters.ts needs a value for the parameter ${name}: ${value} is not one`)
  }
  return value
}

const rulesOf = (template: Template) => Object.values(template.Rules ?? {}).map(({ RuleCondition, Assertions }) => [RuleCondition, Assertions.map(({ Assert }) => Assert)])

/** Parameters that are compared somewhere, each with the values they are compared to. */
function comparisons (...where: unknown[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  function visit (value: unknown): void {
    if (Array.isArray(value)) return value.forEach(visit)
    if (!isObject(value)) return
    for (const [key, item] of Object.entries(value)) {
      if (key !== 'Fn::Equals' && key !== 'Fn::Contains') {
        visit(item)
        continue
      }
      const sides = (item as unknown[]).flat()
      const names = sides.flatMap(side => isObject(side) && typeof side['Ref'] === 'string' ? [side['Ref']] : [])
      const literals = sides.filter(side => !isObject(side)).map(String)
      if (names.length !== 1 || literals.length !== sides.length - 1) throw new TypeError(`a comparison of one parameter with values is expected: ${JSON.stringify(value)}`)
      const known = found.get(names[0]!) ?? new Set()
      for (const literal of literals) known.add(literal)
      found.set(names[0]!, known)
    }
  }
  visit(where)
  return found
}

export const parametersOfRules = (template: Template): Set<string> => new Set(comparisons(rulesOf(template)).keys())

/**
 * The parameters that decide what a stack has. Values that no condition and no rule distinguishes count once: two stages
 * that differ in nothing else are one case.
 */
export function switchesOf (template: Template): Switch[] {
  return [...comparisons(template.Conditions, rulesOf(template))].map(([name, compared]) => {
    const allowed = template.Parameters[name]?.AllowedValues?.map(String)
    const others = allowed ?? [sampleOf(template, name)]
    const other = others.find(value => !compared.has(value))
    return { name, values: [...[...compared].filter(value => allowed?.includes(value) ?? true), ...other === undefined ? [] : [other]] }
  })
}

/** Whether the template's rules accept some values; without a rule, everything is accepted. */
export const isPermitted = (template: Template, row: Row): boolean => refusals(template, row).length === 0

/** Values of what is no switch: what must be given, and what has a list of values, of which the n-th row gets the n-th. */
export function restOfRow (template: Template, switches: Switch[], n: number): Row {
  const isSwitch = new Set(switches.map(({ name }) => name))
  return Object.fromEntries(Object.entries(template.Parameters).filter(([name]) => !isSwitch.has(name)).flatMap(([name, { AllowedValues, Default }]) => {
    if (AllowedValues !== undefined) return [[name, String(AllowedValues[n % AllowedValues.length])]]
    return Default === undefined ? [[name, sampleOf(template, name)]] : []
  }))
}

/** A template for some values of its parameters, as a template without parameters, conditions and rules. */
export function instantiate (template: Template, row: Row): Template {
  const valueOf = (name: string): unknown => {
    const { Type, Default } = template.Parameters[name]!
    const value = row[name] ?? Default ?? ''
    if (Type === 'Number') return Number(value)
    return Type === 'CommaDelimitedList' || Type.startsWith('List<') ? String(value).split(',') : String(value)
  }
  const isParameter = (name: string) => name in template.Parameters

  function fill (value: unknown): unknown {
    if (Array.isArray(value)) return value.map(fill)
    if (!isObject(value)) return value
    if (typeof value['Ref'] === 'string' && isParameter(value['Ref'])) return valueOf(value['Ref'])
    if ('Fn::Sub' in value) {
      const [text, variables] = [value['Fn::Sub']].flat() as [string, Record<string, unknown>?]
      const filled = text.replace(/\$\{([A-Za-z0-9]+)\}/g, (whole, name: string) => isParameter(name) && !(name in (variables ?? {})) ? String(valueOf(name)) : whole)
      if (!filled.includes('${')) return filled
      return { 'Fn::Sub': variables === undefined ? filled : [filled, fill(variables)] }
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]))
  }

  const { Parameters, Conditions, Rules, Resources, Outputs, ...rest } = evaluate(template, row)
  const withoutCondition = <T extends { Condition?: string }>(all: Record<string, T>) =>
    Object.fromEntries(Object.entries(all).map(([id, { Condition, ...item }]) => [id, fill(item)]))
  return { ...rest, Resources: withoutCondition(Resources), Outputs: withoutCondition(Outputs) } as Template
}
