import { globSync } from 'node:fs'
import { join } from 'node:path'
import { isKeyed, type Operation } from '../../scripts/client/document.ts'
import { unknownId, type Account, type Plan, type World } from './world.ts'

/** Makes the values of a request. `owner` is the user whose resource the request is about. */
export type Prepare = (world: World, owner: Account) => Plan | Promise<Plan>

/** What cannot be read from the documents about one operation. */
export interface Recipe {
  /** a request that succeeds for a caller who may send it */
  success: Prepare
  /** whether a success uses up something of the owner, so that the next request needs another owner */
  consumes?: boolean
  /** requests with other documented outcomes, sent by the owner, or by an admin when the operation is one for admins */
  outcomes?: Partial<Record<number, Prepare>>
  /** documented statuses that no single request causes, and why, or where they are tested */
  unseen?: Partial<Record<number, string>>
  /** what a token gets whose account is suspended or deleted, if it is not 401, and why */
  endedAccounts?: { status: number, reason: string }
}

/** By operation. */
export type Recipes = Record<string, Recipe>

export const RACE = 'needs writers that race, or the last admin: test/faults/races.test.ts, test/modules/users'

/** of an operation that needs no dependency */
export const OVERLOAD = 'needs a server at its limit: test/plugins/load-shedding.test.ts'

const IN_PROGRESS = 'needs an attempt that still runs: test/plugins/idempotency'
const NOT_HTTP = 'no field can be invalid, and what is not HTTP does not reach the operation: test/plugins/errors'
const OUR_FAULT = 'an error of the service: test/plugins/errors'

/** Statuses that no request causes at an operation of this kind, and where they are tested. */
export function unseenOf (operation: Operation, { unseen, outcomes = {} }: Recipe): Partial<Record<number, string>> {
  const hasInput = operation.method !== 'GET' || operation.parameters.length > 0
  return {
    500: OUR_FAULT,
    ...(hasInput ? {} : { 400: NOT_HTTP }),
    ...(isKeyed(operation) && outcomes[409] === undefined ? { 409: IN_PROGRESS } : {}),
    ...unseen
  }
}

export const nothing: Prepare = () => ({})

/** A request about the owner's own account. */
export const ofOwner = (parameter: string, plan: Plan = {}): Prepare => (_, { id }) => ({ ...plan, path: { [parameter]: id } })

/** A request about something that does not exist. */
export const unknown = (parameter: string, plan: Plan = {}): Prepare => () => ({ ...plan, path: { [parameter]: unknownId() } })

const MODULES = join(import.meta.dirname, '../modules')

/** The recipes of every module: each has its own, in `test/modules/<module>/recipes.ts`. */
export async function readRecipes (): Promise<Recipes> {
  const files = globSync('*/recipes.ts', { cwd: MODULES }).sort()
  const all = await Promise.all(files.map(async file => (await import(join(MODULES, file)) as { RECIPES: Recipes }).RECIPES))
  const recipes: Recipes = {}
  for (const [id, recipe] of all.flatMap(Object.entries) as [string, Recipe][]) {
    if (recipes[id] !== undefined) throw new Error(`two recipes for ${id}`)
    recipes[id] = recipe
  }
  return recipes
}
