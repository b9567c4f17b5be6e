import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Every test of the service imports these, or starts the app by them: what is behind them says nothing about a test. */
const HUBS = new Set(['src/app.ts', 'test/accounts.ts', 'test/app.ts', 'test/engines.ts', 'test/pump.ts'])

const SOURCES = '{src,local,scripts,bench,clients,test}/**/*.ts'

/** The files that a file imports, types too. */
function importsOf (file: string): string[] {
  const found = readFileSync(file, 'utf8').matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']+)'/g)
  return [...found].map(([, path]) => normalize(join(dirname(file), path!))).filter(path => existsSync(path))
}

/** Tests whose path is that of a file of `src`: `src/modules/users/service.ts` has those in `test/modules/users/`, `src/plugins/aws/index.ts` has `test/plugins/aws.test.ts`. */
export function mirrors (file: string, tests: string[]): string[] {
  const path = file.replace(/^src/, 'test').replace(/\.ts$/, '')
  const folder = dirname(path)
  // The folders of plugins and of shared files hold what has nothing in common.
  const isAlone = ['test', 'test/plugins', 'test/shared'].includes(folder)
  return tests.filter(test => test.startsWith(`${path}.`) || test.startsWith(isAlone ? `${path}/` : folder))
}

/** Which tests a change of a file touches, the nearest first. Reads the imports as they are now. */
export function createTouched () {
  const importers = new Map<string, string[]>()
  for (const file of globSync(SOURCES, { exclude: ['**/node_modules/**', '**/fixtures/**'] })) {
    for (const imported of importsOf(file)) {
      const list = importers.get(imported)
      if (list === undefined) importers.set(imported, [file])
      else list.push(file)
    }
  }

  /** What imports a file, in steps; beyond the hubs only where that is asked for. */
  function reach (changed: string, beyondHubs: boolean): string[] {
    const reached = new Set([changed])
    for (const file of reached) {
      if (HUBS.has(file) && file !== changed && !beyondHubs) continue
      for (const importer of importers.get(file) ?? []) reached.add(importer)
    }
    return [...reached]
  }

  return (changed: string, tests: string[], isNamed: boolean): string[] => {
    const reached = reach(changed, isNamed).filter(file => tests.includes(file))
    return [...new Set([...reached, ...(isNamed || !changed.startsWith('src/') ? [] : mirrors(changed, tests))])]
  }
}
