import { setTimeout as sleep } from 'node:timers/promises'
import { isConditionRefused, isConflict } from './aws-errors.ts'

/** Attempts at a write that met a transaction on the same item, before the caller is asked to try later. */
const CONFLICT_ATTEMPTS = 8

/**
 * The result of a conditional write to DynamoDB, `undefined` when a condition did not hold. A conflict with another
 * transaction is tried again, which the SDK leaves to its caller.
 *
 * @throws whatever else went wrong, and the conflict when it does not end
 */
export async function unlessRefused<T> (write: () => Promise<T>): Promise<T | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write()
    } catch (error) {
      if (isConditionRefused(error)) return undefined
      if (!isConflict(error) || attempt === CONFLICT_ATTEMPTS) throw error
      await sleep(Math.random() * 20 * attempt)
    }
  }
}
