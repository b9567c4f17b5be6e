import type { Plugin } from 'esbuild'
import { join } from 'node:path'
import { ROOT } from './bundle.ts'

// Packages that the sources import lazily (mailers, Redis, other AWS clients): the bundle loads each from a file of its own.

/** The name of the file of a package, without its ending. */
const fileOf = (name: string) => name.replace(/^@/, '').replaceAll('/', '-')

/**
 * Keeps these packages out of the script, which the API would otherwise read at each cold start.
 *
 * @param found is filled with the names of these packages
 */
export const lazyPackages = (found: Set<string>): Plugin => ({
  name: 'lazy-packages',
  setup ({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind, importer }) => {
      if (kind !== 'dynamic-import' || path.startsWith('node:') || !importer.startsWith(join(ROOT, 'src'))) return undefined
      found.add(path)
      return { path: `./${fileOf(path)}.mjs`, external: true }
    })
  }
})

/** The entry points for these packages. `packageEntries` makes their contents. */
export const entryPointsOf = (packages: ReadonlySet<string>): Record<string, string> => Object.fromEntries([...packages].sort().map(name => [fileOf(name), `package:${name}`]))

/** Makes an entry point for a package: all its names, also those of a CommonJS module. */
export const packageEntries: Plugin = {
  name: 'package-entries',
  setup ({ onResolve, onLoad }) {
    onResolve({ filter: /^package:/ }, ({ path }) => ({ path: path.slice('package:'.length), namespace: 'package' }))
    onLoad({ filter: /.*/, namespace: 'package' }, async ({ path }) => {
      const names = Object.keys(await import(path) as object).filter(name => name !== 'default' && name !== 'module.exports')
      return { contents: `export { ${names.join(', ')} } from ${JSON.stringify(path)}`, resolveDir: ROOT }
    })
  }
}
