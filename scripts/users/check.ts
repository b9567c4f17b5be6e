import { Value } from '@sinclair/typebox/value'
import { normalized } from '../../src/modules/users/normal-forms.ts'
import { Registration } from '../../src/modules/users/schemas.ts'

/** Why the service would refuse a registration; `undefined` when it would not. By the service's own schema and rules. */
export function invalidity (row: Record<string, unknown>): string | undefined {
  const error = Value.Errors(Registration, row).First()
  if (error !== undefined) return `${error.path.slice(1)}: ${error.message}`
  try {
    normalized(row as Registration)
  } catch (error) {
    return (error as Error).message
  }
}
