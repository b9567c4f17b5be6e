import { resourcesOf, type Template } from './evaluate.ts'

/** A data point; `undefined` where there is no data. */
type Value = number | undefined

const FUNCTIONS: Record<string, (...args: (Value | Value[])[]) => Value> = {
  // Without data for the condition there is no data point.
  IF: (condition, yes, no) => condition === undefined ? undefined : (condition === 0 ? no : yes) as Value,
  FILL: (value, filler) => (value ?? filler) as Value,
  SUM: values => {
    const known = (values as Value[]).filter(value => value !== undefined)
    return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0)
  }
}

const OPERATORS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '>=': (a, b) => Number(a >= b),
  '<=': (a, b) => Number(a <= b),
  '==': (a, b) => Number(a === b),
  '>': (a, b) => Number(a > b),
  '<': (a, b) => Number(a < b),
  AND: (a, b) => Number(a !== 0 && b !== 0),
  OR: (a, b) => Number(a !== 0 || b !== 0)
}

/** Operators by precedence, those that bind least first. */
const LEVELS = [['OR'], ['AND'], ['>=', '<=', '==', '>', '<'], ['+', '-'], ['*', '/']]

/**
 * What the template's alarms use of CloudWatch's metric math, and no more
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html). Throws on anything else.
 */
export function calculate (expression: string, values: Record<string, Value>): Value {
  const tokens = expression.match(/\d+(?:\.\d+)?|\w+|>=|<=|==|[-+*/()<>,[\]]|\S/g) ?? []
  let at = 0
  const take = (token: string) => { if (tokens[at++] !== token) throw new SyntaxError(`expected ${token} in ${expression}`) }

  function list (end: string): (Value | Value[])[] {
    const items: (Value | Value[])[] = []
    do items.push(tokens[at] === '[' ? (at++, list(']') as Value[]) : level(0)); while (tokens[at] === ',' && at++ >= 0)
    take(end)
    return items
  }
  function primary (): Value {
    const token = tokens[at++]
    if (token === '(') {
      const value = level(0)
      take(')')
      return value
    }
    if (token !== undefined && /^\d/.test(token)) return Number(token)
    if (token !== undefined && tokens[at] === '(' && token in FUNCTIONS) {
      at++
      return FUNCTIONS[token]!(...list(')'))
    }
    if (token !== undefined && token in values) return values[token]
    throw new SyntaxError(`${token ?? 'the end'} is unknown in ${expression}`)
  }
  function level (depth: number): Value {
    const operators = LEVELS[depth]
    if (operators === undefined) return primary()
    let left = level(depth + 1)
    while (operators.includes(tokens[at] ?? '')) {
      const operator = tokens[at++]!
      const right = level(depth + 1)
      const result = left === undefined || right === undefined ? undefined : OPERATORS[operator]!(left, right)
      left = result !== undefined && Number.isFinite(result) ? result : undefined
    }
    return left
  }
  const value = level(0)
  if (at < tokens.length) throw new SyntaxError(`${tokens[at]!} is left over in ${expression}`)
  return value
}

/** The statistic of a period's samples. */
export function statistic (name: string, samples: number[]): Value {
  const sum = () => samples.reduce((total, sample) => total + sample, 0)
  if (samples.length === 0) return undefined
  if (name === 'Sum') return sum()
  if (name === 'Average') return sum() / samples.length
  if (name === 'Maximum') return samples.reduce((a, b) => Math.max(a, b))
  if (name === 'SampleCount') return samples.length
  const rank = /^PR\(:(\d+)\)$/.exec(name)?.[1]
  if (rank !== undefined) return 100 * samples.filter(sample => sample <= Number(rank)).length / samples.length
  const percentile = /^p(\d+)$/.exec(name)?.[1]
  if (percentile !== undefined) return samples.toSorted((a, b) => a - b)[Math.ceil(samples.length * Number(percentile) / 100) - 1]
  throw new TypeError(`statistic ${name}`)
}

/** Samples of each minute, by metric: `AWS/ApiGateway Latency`. */
export type Series = Record<string, number[][]>

interface Query { Id: string, Expression?: string | { 'Fn::Sub': string }, MetricStat?: { Metric: { Namespace: string, MetricName: string }, Period: number, Stat: string }, ReturnData?: boolean }

const COMPARISONS: Record<string, (a: number, b: number) => boolean> = {
  GreaterThanThreshold: (a, b) => a > b, GreaterThanOrEqualToThreshold: (a, b) => a >= b, LessThanThreshold: (a, b) => a < b, LessThanOrEqualToThreshold: (a, b) => a <= b
}

/** What an alarm queries, also when it is written for one metric. */
function queriesOf (properties: Record<string, any>): Query[] { // eslint-disable-line @typescript-eslint/no-explicit-any -- CloudFormation's own shapes
  const { Metrics, Namespace, MetricName, Period, Statistic, ExtendedStatistic } = properties
  return Metrics as Query[] | undefined ?? [{ Id: 'm', MetricStat: { Metric: { Namespace, MetricName }, Period, Stat: Statistic ?? ExtendedStatistic } }]
}

/** An expression, with the parameters in it as they are by default. */
const textOf = (template: Template, expression: string | { 'Fn::Sub': string }): string =>
  typeof expression === 'string' ? expression : expression['Fn::Sub'].replace(/\$\{(\w+)\}/g, (_, name: string) => String(template.Parameters[name]!.Default))

/**
 * Whether an alarm of an evaluated template is red at the end of a minute. CloudWatch evaluates an alarm every minute, over a
 * window that slides with it and is cut into `EvaluationPeriods` periods
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html).
 */
function isRed (template: Template, id: string, series: Series, minute: number): boolean {
  const { Type, Properties } = template.Resources[id]!
  if (Type === 'AWS::CloudWatch::CompositeAlarm') {
    const states: Record<string, number> = {}
    const rule = String(Properties['AlarmRule']['Fn::Sub']).replace(/ALARM\("\$\{(\w+)\}"\)/g, (_, name: string) => {
      states[name] = Number(isRed(template, name, series, minute))
      return name
    })
    return calculate(rule, states) === 1
  }
  const queries = queriesOf(Properties)
  const period = queries.find(({ MetricStat }) => MetricStat !== undefined)!.MetricStat!.Period / 60
  const result = queries.find(({ ReturnData }) => ReturnData !== false)!.Id
  let breaching = 0
  for (let k = 0; k < Properties['EvaluationPeriods']; k++) {
    const end = minute + 1 - k * period
    const values: Record<string, Value> = {}
    for (const { Id, MetricStat } of queries) {
      if (MetricStat === undefined) continue
      const name = `${MetricStat.Metric.Namespace} ${MetricStat.Metric.MetricName}`
      values[Id] = statistic(MetricStat.Stat, (series[name] ?? []).slice(Math.max(0, end - period), Math.max(0, end)).flat())
    }
    // An expression may use another one: first those that use none.
    const open = queries.flatMap(({ Id, Expression }) => Expression === undefined ? [] : [{ Id, text: textOf(template, Expression) }])
    while (open.length > 0) {
      const [{ Id, text } = { Id: '', text: '' }] = open.splice(open.findIndex(({ text }) => !open.some(({ Id }) => new RegExp(`\\b${Id}\\b`).test(text))), 1)
      values[Id] = calculate(text, values)
    }
    const value = values[result]
    const isBreaching = value === undefined ? Properties['TreatMissingData'] === 'breaching' : COMPARISONS[Properties['ComparisonOperator']]!(value, Properties['Threshold'])
    if (isBreaching) breaching++
  }
  return breaching >= (Properties['DatapointsToAlarm'] ?? Properties['EvaluationPeriods'])
}

/** Minutes until an alarm is red, or `undefined` if it never is. */
export function redAfter (template: Template, id: string, series: Series, from = 0): number | undefined {
  const minutes = Math.max(...Object.values(series).map(({ length }) => length))
  for (let minute = from; minute < minutes; minute++) if (isRed(template, id, series, minute)) return minute - from + 1
  return undefined
}

/** Every alarm that is red at any time. */
export const everRed = (template: Template, series: Series): string[] =>
  resourcesOf(template, 'AWS::CloudWatch::Alarm', 'AWS::CloudWatch::CompositeAlarm').map(([id]) => id).filter(id => redAfter(template, id, series) !== undefined)
