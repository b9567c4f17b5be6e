import type { Plugin } from 'esbuild'
import { builtinModules } from 'node:module'

/**
 * Loads built-ins through `require`: an ESM import reads every export, and reading those of `http` loads Node's whole
 * fetch. That costs a cold start 28–38 ms, `require` 3 ms. Only the exports in use are read, once: as CommonJS modules,
 * built-ins would be copied for each file that imports them: a megabyte in all, and 2 % of a cold start.
 */
export const builtinsByRequire: Plugin = {
  name: 'builtins-by-require',
  setup ({ onResolve, onLoad }) {
    const names = builtinModules.join('|')
    const isOurs = (namespace: string) => /^builtin/.test(namespace)
    onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`) }, ({ path, namespace, kind }) => {
      if (isOurs(namespace) || kind === 'require-call') return { path, external: true }
      return { path, namespace: kind === 'dynamic-import' ? 'builtin-loaded-later' : 'builtin' }
    })
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
      const exported = Object.keys(process.getBuiltinModule(path)!).filter(name => name !== 'default' && /^[\w$]+$/.test(name))
      // Without a use the bundler drops a pure call.
      const lines = exported.map(name => `const $${name} = /* @__PURE__ */ read('${name}')\nexport { $${name} as ${name} }`)
      return { contents: `const builtin = require(${JSON.stringify(path)})\nconst read = name => builtin[name]\nexport default builtin\n${lines.join('\n')}` }
    })
    // A dynamic import gives the whole module.
    onLoad({ filter: /.*/, namespace: 'builtin-loaded-later' }, ({ path }) => ({ contents: `module.exports = require(${JSON.stringify(path)})` }))
  }
}
