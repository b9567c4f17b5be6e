import { nothing, type Recipes } from '../../contract/recipes.ts'

/** What the contract test (test/contract) cannot read from the documents about the operations of this module. */
export const RECIPES: Recipes = {
  'v1.health.check': { success: nothing },
  'health.live': { success: nothing },
  'health.ready': { success: nothing }
}
