// The filter patterns of event-source mappings that this project's templates use:
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html

type Condition = string | number | boolean | null | Record<string, unknown>
export interface Pattern { [field: string]: Pattern | Condition[] }

function holds (condition: Condition, value: unknown): boolean {
  if (typeof condition !== 'object' || condition === null) return value === condition
  const [operator, operand] = Object.entries(condition)[0] ?? []
  if (operator === 'exists') return (value !== undefined) === operand
  if (operator === 'prefix') return typeof value === 'string' && value.startsWith(String(operand))
  if (operator === 'anything-but') return value !== undefined && !(operand as unknown[]).includes(value)
  throw new Error(`filter: ${String(operator)} is not supported by the local event-source mappings`)
}

function fits (pattern: Pattern, value: unknown): boolean {
  return Object.entries(pattern).every(([field, expected]) => {
    const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined
    return Array.isArray(expected) ? expected.some(condition => holds(condition, found)) : fits(expected, found)
  })
}

/** Whether a record matches one of a mapping's patterns. Without patterns every record matches. */
export function matches (patterns: Pattern[], record: object): boolean {
  return patterns.length === 0 || patterns.some(pattern => fits(pattern, record))
}
