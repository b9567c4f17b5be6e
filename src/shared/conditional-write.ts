import { setTimeout as sleep } from 'node:timers/promises'
import { isConditionRefused, isConflict, REFUSED, type ConditionRefused } from './aws-errors.ts'

/** Attempts at a write that conflicts with a transaction on the same item, before the caller gets an error. */
const CONFLICT_ATTEMPTS = 8

/** The item that made a transaction's write at a position fail, if that write set `ReturnValuesOnConditionCheckFailure`. */
export function itemMetBy ({ CancellationReasons = [] }: ConditionRefused, position: number): Record<string, unknown> | undefined {
  return CancellationReasons[position]?.Item
}

/** The positions of a transaction's writes whose conditions did not hold. */
export function refusedPositions ({ CancellationReasons = [] }: ConditionRefused): number[] {
  return CancellationReasons.flatMap(({ Code }, position) => Code === REFUSED.reason ? [position] : [])
}

/**
 * Runs a conditional write to DynamoDB and returns its result. When a condition did not hold, returns the result of
 * `onRefusal` (`undefined` without it). Retries conflicts with other transactions, which the SDK does not.
 *
 * @throws every other error, and the conflict after the last attempt
 */
export async function unlessRefused<T, R = undefined> (write: () => Promise<T>, onRefusal?: (refusal: ConditionRefused) => R): Promise<T | R> {
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
