import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { documents } from './api-documents.ts'

// What the source says is read as text: with its code changed by a tool, such as that of the mutants, these tests fail.

const ROOT = resolve(import.meta.dirname, '../..')

t.test('the documents hold every operation that works, and none that does not yet', async t => {
  const listed = (version: 'v1' | 'v2') => Object.entries(documents[version].paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`)).sort()
  t.same(listed('v1'), [
    'DELETE /v1/users/{userId}', 'GET /v1/health', 'GET /v1/users/{userId}', 'PATCH /v1/users/{userId}',
    'POST /v1/auth/challenges', 'POST /v1/auth/tokens', 'POST /v1/users'
  ])
  // Version 1 is frozen; version 2 grows, and has what its route files have.
  const written = globSync('src/modules/*/*routes.v2.ts', { cwd: ROOT }).flatMap(file => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\bapp\.(get|post|put|patch|delete)\('([^']+)', (?!.*hide: true)/g)])
    .map(([, method, path]) => `${method!.toUpperCase()} ${path!.replace(/:(\w+)/g, '{$1}')}`)
  t.ok(written.length > 10, `${written.length} routes`)
  t.same(listed('v2'), written.sort())
})

t.test('every code that a module can answer with is in the schema of a problem', async t => {
  const { enum: codes } = (documents.v2.components['schemas']!['Problem'] as { properties: { code: { enum: string[] } } }).properties.code
  t.ok(codes.includes('USERS_NOT_FOUND') && codes.includes('VALIDATION_FAILED') && codes.includes('URL_MALFORMED'))
  const v2 = JSON.stringify(documents.v2)
  const v1 = JSON.stringify(documents.v1)
  let catalogued = 0
  for (const file of globSync('src/modules/*/errors.ts', { cwd: ROOT })) {
    // A module that answers requests declares its errors with its routes; others only log theirs.
    if (!existsSync(join(ROOT, file, '../routes.v2.ts'))) continue
    for (const [, code, text] of readFileSync(join(ROOT, file), 'utf8').matchAll(/createError(?:<[^>]*>)?\(\s*'([A-Z0-9_]+)', '([^']+)'/g)) {
      catalogued++
      t.ok(codes.includes(code!) ? v2.includes(JSON.stringify(text)) : v1.includes(JSON.stringify(text)), `${code} is declared by a route, with its text as an example`)
    }
  }
  t.ok(catalogued > 4, `${catalogued} errors`)
})
