import { setTimeout as sleep } from 'node:timers/promises'
import { isConditionRefused, isConflict } from './aws-errors.ts'

/** Attempts at a write that met a transaction on the same item, before the caller is asked to try later. */
const CONFLICT_ATTEMPTS = 8

/** The item that a refused transaction has met at a position, where its write asked for it (`ReturnValuesOnConditionCheckFailure`). */
export function itemMetBy (refusal: unknown, position: number): Record<string, unknown> | undefined {
  const { CancellationReasons = [] } = refusal as { CancellationReasons?: { Item?: Record<string, unknown> }[] }
  return CancellationReasons[position]?.Item
}

/**
 * The result of a conditional write to DynamoDB, or, when a condition did not hold, what `onRefusal` makes of the error
 * (`undefined` without it). A conflict with another transaction is tried again, which the SDK leaves to its caller.
 *
 * @throws whatever else went wrong, and the conflict when it does not end
 */
export async function unlessRefused<T, R = undefined> (write: () => Promise<T>, onRefusal?: (refusal: unknown) => R): Promise<T | R> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write()
    } catch (error) {
      if (isConditionRefused(error)) return onRefusal?.(error) as R
      if (!isConflict(error) || attempt === CONFLICT_ATTEMPTS) throw error
      await sleep(Math.random() * 20 * attempt)
    }
  }
}
