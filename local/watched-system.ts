import { relative } from 'node:path'
import { startAppProcess, type AppProcess } from './app-process.ts'
import type { Plan } from './plan.ts'
import { startSystem, type System } from './system.ts'
import { watchSources } from './watch.ts'

const SOURCES = new URL('../src', import.meta.url).pathname

/**
 * Starts the whole system with the app in a process of its own, and starts the app again after each change of its sources.
 *
 * @param inspect address for a debugger of the app, if any
 */
export async function startWatchedSystem (plan: Plan, inspect: string | undefined): Promise<System> {
  let app: AppProcess | undefined
  const system = await startSystem(plan, async (appPlan, { endLeases }) => {
    app = await startAppProcess(appPlan, { inspect, onCrash: endLeases })
    return app
  })

  async function onChange (path: string): Promise<void> {
    const began = performance.now()
    if (await app!.restart()) console.log(`${relative(process.cwd(), path)} has changed: the app has started again (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  }
  const watcher = watchSources(SOURCES, ([path]) => void onChange(path!))
  return {
    ...system,
    async stop () {
      watcher.stop()
      await system.stop()
    }
  }
}
