import { readResources } from '../../local/template.ts'

export interface Resource {
  Type: string
  Condition?: string
  DependsOn?: string | string[]
  DeletionPolicy?: string
  Metadata?: Record<string, unknown>
  Properties: Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any -- CloudFormation's own shapes
}

export interface Template {
  Parameters: Record<string, { Type: string, Default?: string | number, AllowedValues?: unknown[], AllowedPattern?: string, Description?: string }>
  Rules?: Record<string, { RuleCondition?: unknown, Assertions: { Assert: unknown, AssertDescription: string }[] }>
  Conditions: Record<string, unknown>
  Globals?: Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any -- CloudFormation's own shapes
  Resources: Record<string, Resource>
  Outputs: Record<string, { Condition?: string, Value: unknown }>
}

/** `template.yaml` as it stands: conditions and references in their long form. A new copy each time, to be spoilt at will. */
export const loadTemplate = (): Template => structuredClone(parsed ??= readResources() as unknown as Template)
let parsed: Template | undefined

const NOTHING = Symbol('AWS::NoValue')
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What conditions and rules read: parameters, and pseudo parameters such as `AWS::Region`. */
type Values = Record<string, string | undefined>

/** Decides conditions, and the functions of `Rules`, for some values of parameters. Missing parameters take their defaults. */
export function createDecider (template: Pick<Template, 'Parameters' | 'Conditions'>, values: Values = {}): (condition: unknown) => boolean {
  const valueOf = (name: string) => String(values[name] ?? template.Parameters[name]?.Default ?? '')
  const operand = (value: unknown): unknown => isObject(value) && typeof value['Ref'] === 'string' ? valueOf(value['Ref']) : value

  return function holds (condition): boolean {
    if (!isObject(condition)) throw new TypeError(`not a condition: ${JSON.stringify(condition)}`)
    const [[kind, value] = []] = Object.entries(condition)
    const parts = value as unknown[]
    if (kind === 'Condition') return holds(template.Conditions[value as string])
    if (kind === 'Fn::Equals') return String(operand(parts[0])) === String(operand(parts[1]))
    if (kind === 'Fn::Contains') return (parts[0] as unknown[]).some(item => String(operand(item)) === String(operand(parts[1])))
    if (kind === 'Fn::Not') return !holds(parts[0])
    if (kind === 'Fn::And') return parts.every(holds)
    if (kind === 'Fn::Or') return parts.some(holds)
    throw new TypeError(`not a condition: ${JSON.stringify(condition)}`)
  }
}

/** Why CloudFormation would refuse these parameters: what the template's rules say. */
export function refusals (template: Template, parameters: Values): string[] {
  const holds = createDecider(template, parameters)
  return Object.values(template.Rules ?? {})
    .filter(({ RuleCondition }) => RuleCondition === undefined || holds(RuleCondition))
    .flatMap(({ Assertions }) => Assertions.filter(({ Assert }) => !holds(Assert)).map(({ AssertDescription }) => AssertDescription))
}

/** A text of an evaluated template, with parameters and the given values of other names filled in. */
export function textOf (value: unknown, names: Record<string, string>): string {
  const valueOf = (name: string) => names[name] ?? (() => { throw new Error(`no value for ${name}`) })()
  if (typeof value === 'string') return value
  if (isObject(value) && typeof value['Ref'] === 'string') return valueOf(value['Ref'])
  if (isObject(value) && typeof value['Fn::Sub'] === 'string') return value['Fn::Sub'].replace(/\$\{([^}]+)\}/g, (_, name: string) => valueOf(name))
  throw new TypeError(`not a text: ${JSON.stringify(value)}`)
}

/**
 * A template as CloudFormation would have it for some parameters: conditions decided, and what they leave out gone. Other
 * references stay as they are. Missing parameters take their defaults.
 */
export function evaluate (template: Template, parameters: Values = {}): Template {
  const holds = createDecider(template, parameters)
  const isOn = (name: string) => holds({ Condition: name })

  function resolve (value: unknown): unknown {
    if (Array.isArray(value)) return value.map(resolve).filter(item => item !== NOTHING)
    if (!isObject(value)) return value
    if (value['Ref'] === 'AWS::NoValue') return NOTHING
    if ('Fn::If' in value) {
      const [condition, yes, no] = value['Fn::If'] as [string, unknown, unknown]
      return resolve(isOn(condition) ? yes : no)
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)] as const).filter(([, item]) => item !== NOTHING))
  }

  const present = <T extends { Condition?: string }>(all: Record<string, T>) =>
    Object.fromEntries(Object.entries(all).filter(([, { Condition }]) => Condition === undefined || isOn(Condition)).map(([id, item]) => [id, resolve(item) as T]))
  return { ...template, Resources: present(template.Resources), Outputs: present(template.Outputs ?? {}) }
}

/** Resources of a type, by logical id. */
export const resourcesOf = (template: Template, ...types: string[]): [id: string, resource: Resource][] =>
  Object.entries(template.Resources).filter(([, { Type }]) => types.includes(Type))

/** A reference, with the conditions of the `Fn::If`s around it and the side of each. */
export interface Reference { to: string, when: [condition: string, holds: boolean][] }

/** What a value refers to, conditions still open. */
export function openReferencesOf (value: unknown, when: Reference['when'] = []): Reference[] {
  if (Array.isArray(value)) return value.flatMap(item => openReferencesOf(item, when))
  if (!isObject(value)) return []
  const references = (...names: string[]) => names.map(name => ({ to: name.split('.')[0]!, when }))
  return Object.entries(value).flatMap(([key, item]) => {
    if (key === 'Ref') return references(String(item))
    if (key === 'Fn::GetAtt') return references(Array.isArray(item) ? String(item[0]) : String(item))
    if (key === 'DependsOn') return references(...[item].flat().map(String))
    if (key === 'Fn::Sub') {
      const [text, variables = {}] = [item].flat() as [string, Record<string, unknown>?]
      const names = [...text.matchAll(/\$\{([A-Za-z0-9]+)[.}]/g)].map(match => match[1]!).filter(name => !(name in variables))
      return [...references(...names), ...openReferencesOf(variables, when)]
    }
    if (key === 'Fn::If') {
      const [condition, yes, no] = item as [string, unknown, unknown]
      return [...openReferencesOf(yes, [...when, [condition, true]]), ...openReferencesOf(no, [...when, [condition, false]])]
    }
    return openReferencesOf(item, when)
  })
}

/** Logical ids that a value refers to. */
export const referencesOf = (value: unknown): string[] => openReferencesOf(value).map(({ to }) => to)
