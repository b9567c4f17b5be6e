import { spawn } from 'node:child_process'
import { cp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { addCodeCache, makeLocally, type MadeCache } from '../../scripts/code-cache.ts'
import { startEngines } from '../engines.ts'
import { buildArtifact, functionEnv } from './artifact.ts'
import { runtimeClient, startRuntime } from './runtime.ts'

const engines = await startEngines(t)
const built = await buildArtifact(t)
const env = { ...functionEnv(engines), LOG_LEVEL: 'warn' }

const runtime = await addCodeCache(built)

/** A copy of the artifact with its cache. */
async function copy (t: Test) {
  const directory = join(t.testdir({}), 'lambda')
  await cp(built, directory, { recursive: true })
  const caches = join(directory, 'code-cache')
  return { directory, caches, cache: join(caches, (await readdir(caches))[0]!) }
}

/** Starts an artifact, registers a user, and reports whether V8 was given a cache, and has rejected it. */
async function run (directory: string, email: string) {
  const program = `
    import vm from 'node:vm'
    const { Script } = vm
    let given
    vm.Script = class extends Script {
      constructor (code, options) {
        super(code, options)
        given ??= [options.cachedData !== undefined, this.cachedDataRejected]
      }
    }
    const { handler } = await import(${JSON.stringify(pathToFileURL(join(directory, 'index.mjs')).href)})
    const { statusCode } = await handler({ resource: '/{proxy+}', path: '/v2/users', httpMethod: 'POST', headers: { 'content-type': 'application/json' }, pathParameters: { proxy: 'v2/users' }, requestContext: { stage: 'x', identity: { sourceIp: '192.0.2.1' } }, body: JSON.stringify({ email: ${JSON.stringify(email)}, name: 'Ada' }) }, {})
    process.stderr.write(JSON.stringify({ given, statusCode }))
    process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', text => { output[name] += text })
  await new Promise(resolve => { child.once('close', resolve) })
  try {
    return { ...JSON.parse(output.stderr) as { given: [boolean, boolean | undefined], statusCode: number }, warnings: output.stdout.split('\n').filter(line => line.includes('"level":"warn"')).map(line => JSON.parse(line) as { msg: string }) }
  } catch {
    throw new Error(output.stderr)
  }
}

const STALE = [{ msg: 'the code cache was made by another runtime, so this start was slower: the next deployment renews it' }]

t.test('V8 accepts the code cache of an artifact, and the app answers', async t => {
  t.equal(runtime, `${process.version}-${process.arch}`)
  t.match(await run((await copy(t)).directory, 'with-cache@example.com'), { given: [true, false], statusCode: 202, warnings: [] })
})

t.test('an artifact without a code cache starts, and logs nothing about it', async t => {
  const { directory, caches } = await copy(t)
  await rm(caches, { recursive: true })
  t.match(await run(directory, 'without-cache@example.com'), { given: [false], statusCode: 202, warnings: [] })
})

t.test('the cache of another runtime is not used, and a warning says so', async t => {
  const { directory, caches, cache } = await copy(t)
  await rename(cache, join(caches, `v24.0.0-arm64-${cache.slice(-16)}`))
  t.match(await run(directory, 'other-runtime@example.com'), { given: [false], statusCode: 202, warnings: STALE })
})

t.test('a cache that V8 rejects is not used, and a warning says so', async t => {
  const { directory, cache } = await copy(t)
  await truncate(cache, 100_000)
  t.match(await run(directory, 'truncated@example.com'), { given: [true, true], statusCode: 202, warnings: STALE })
})

t.test('the cache of another script of the same length is not used', async t => {
  const { directory, cache } = await copy(t)
  // V8 would run the old code: it compares no more than the length.
  const script = await readFile(join(directory, 'service.cjs'), 'utf8')
  const changed = script.replace('the next deployment renews it', 'THE NEXT DEPLOYMENT RENEWS IT')
  t.not(changed, script)
  await writeFile(join(directory, 'service.cjs'), changed)
  const hash = cache.slice(-16)
  const loader = await readFile(join(directory, 'index.mjs'), 'utf8')
  t.ok(loader.includes(hash), 'the loader knows the hash of its script')
  await writeFile(join(directory, 'index.mjs'), loader.replace(hash, '0123456789abcdef'))
  t.match(await run(directory, 'other-script@example.com'), { given: [false], statusCode: 202, warnings: [{ msg: 'the code cache was made by another runtime, so this start was slower: THE NEXT DEPLOYMENT RENEWS IT' }] })
})

t.test('an app that answers otherwise than expected gets no cache', async t => {
  const { directory, caches } = await copy(t)
  await rm(caches, { recursive: true })
  await t.rejects(addCodeCache(directory, request => makeLocally({ ...request, environment: { ...request.environment, V1_ENABLED: 'false' } })), { message: 'the app answered 200, 410, 202, 401' })
  await t.rejects(readdir(caches))
})

t.test('the function that makes caches runs on Lambda’s runtime client', async t => {
  const client = await runtimeClient(t)
  if (client === undefined) return
  const { directory } = await copy(t)
  const hook = await startRuntime(t, client, { directory: join(import.meta.dirname, '../../hooks/code-cache'), env: {} })
  t.equal(await addCodeCache(directory, async request => {
    t.ok(JSON.stringify(request).length < 6_291_556, 'the request is small enough for Lambda')
    return await hook.invoke(request) as MadeCache
  }), runtime)
  t.match(await run(directory, 'by-function@example.com'), { given: [true, false], statusCode: 202, warnings: [] })
})
