import { StandaloneValidator } from '@fastify/ajv-compiler'
import { StandaloneSerializer } from '@fastify/fast-json-stringify-compiler'
import { _ } from 'ajv'
import type { Plugin } from 'esbuild'
import { join } from 'node:path'
import { pino } from 'pino'
import { completeEnv } from '../../local/env.ts'
import { buildApp, VALIDATION } from '../../src/app.ts'
import { keyOf, type Definition } from '../../src/plugins/compiled-schemas.ts'
import { loadConfig } from '../../src/plugins/config.ts'
import { ROOT } from './bundle.ts'

type Schema = Record<string, unknown>

/**
 * Writes alternatives of constant strings as an enum. Both serialize alike, but for `anyOf` even a compiled serializer carries Ajv, to
 * choose the alternative.
 */
function withEnums (schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withEnums)
  if (typeof schema !== 'object' || schema === null) return schema
  const { anyOf, ...rest } = schema as Schema & { anyOf?: { const?: unknown }[] }
  if (anyOf?.every(option => typeof option.const === 'string') === true) return { ...rest, type: 'string', enum: anyOf.map(option => option.const) }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withEnums(value)]))
}

/**
 * Compiles the schemas of every route.
 *
 * @returns the code of a CommonJS module for each, by what `keyOf` makes of its route
 */
export async function compileSchemas (): Promise<Record<string, string>> {
  const codes: Record<string, string> = {}
  const store = (definition: Definition, code: string) => {
    codes[keyOf(definition)] = code
  }
  const buildSerializer = StandaloneSerializer({ readMode: false, storeFunction: store as never })
  const app = await buildApp({
    // The schemas depend on the routes alone: nothing is connected to, and no value of the configuration is in them.
    config: loadConfig(completeEnv({ LOG_LEVEL: 'silent', DOCS_ENABLED: 'false' })),
    docs: { source: 'files', directory: join(ROOT, 'docs/openapi') },
    logger: pino({ level: 'silent' }),
    server: {
      ajv: { customOptions: { ...VALIDATION, code: { ...VALIDATION.code, source: true, formats: _`require("formats")` } } },
      schemaController: {
        compilersFactory: {
          buildValidator: StandaloneValidator({ readMode: false, storeFunction: store as never }) as never,
          buildSerializer: ((schemas: never, options: never) => {
            const compile = buildSerializer(withEnums(schemas) as never, options) as (definition: { schema: unknown }) => unknown
            return (definition: { schema: unknown }) => compile({ ...definition, schema: withEnums(definition.schema) })
          }) as never
        }
      }
    }
  })
  await app.ready()
  await app.close()
  return codes
}

/** Replaces the compilers of plugins/lazy-schemas by what they make, so that neither they nor their work are part of a cold start. */
export function compiledSchemas (): Plugin {
  return {
    name: 'compiled-schemas',
    setup ({ onResolve, onLoad }) {
      const compiled = compileSchemas()
      const modules = compiled.then(codes => [...new Set(Object.values(codes))])
      onResolve({ filter: /\/lazy-schemas\.ts$/ }, () => ({ path: 'all', namespace: 'compiled' }))
      onResolve({ filter: /^compiled:/ }, ({ path }) => ({ path: path.slice('compiled:'.length), namespace: 'compiled' }))
      onResolve({ filter: /^formats$/, namespace: 'compiled' }, () => ({ path: 'formats', namespace: 'compiled' }))
      onLoad({ filter: /.*/, namespace: 'compiled' }, async ({ path }) => {
        const resolveDir = join(ROOT, 'src')
        // Filled below. A `require` of the formats themselves would keep all of TypeBox in the artifact.
        if (path === 'formats') return { contents: 'module.exports = {}' }
        const codes = await modules
        if (path !== 'all') return { contents: codes[Number(path)]!, resolveDir: ROOT }
        const entries = Object.entries(await compiled).sort(([a], [b]) => a < b ? -1 : 1)
        return {
          resolveDir,
          contents: `
import formats from 'formats'
import { createCompiled } from './plugins/compiled-schemas.ts'
import { FORMATS } from './shared/formats.ts'
Object.assign(formats, FORMATS)
export const lazySchemas = createCompiled([${codes.map((_, index) => `() => require('compiled:${index}')`).join(', ')}], ${JSON.stringify(Object.fromEntries(entries.map(([key, code]) => [key, codes.indexOf(code)])))})`
        }
      })
    }
  }
}
