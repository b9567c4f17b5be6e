import { execFile } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { GENERATED, makeClients, staleFiles } from '../../scripts/client.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PACKAGE = join(ROOT, 'clients/typescript')
const run = promisify(execFile)

const made = await makeClients()

/** The generated files as they are committed. */
async function committed (): Promise<Record<string, string>> {
  const files = globSync(GENERATED.map(folder => `${folder}/**/*`), { cwd: ROOT, withFileTypes: true }).filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
  return Object.fromEntries(await Promise.all(files.map(async file => [file, await readFile(join(ROOT, file), 'utf8')] as const)))
}

t.test('the committed files are what the documents make, byte for byte', async t => {
  t.same(staleFiles(made, await committed()), [], 'out of step? npm run client')
})

t.test('a file that is stale, missing or left over is found', async t => {
  const [file] = Object.keys(made) as [string]
  t.same(staleFiles(made, { ...made, [file]: `${made[file]!}\n` }), [`${file}: not what the documents make`])
  t.same(staleFiles(made, { ...made, [`${file}.old`]: '' }), [`${file}.old: left over`])
  const { [file]: _, ...others } = made
  t.same(staleFiles(made, others), [`${file}: missing`])
})

/** Type-checks and builds the package as npm publishes it. */
async function build (outDir: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', PACKAGE, '--outDir', outDir], { cwd: ROOT }).catch((error: { stdout: string }) => error)
  return stdout
}

t.test('the package builds, and what it publishes can be imported and used with types', async t => {
  const directory = t.testdir({
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions: { lib: ['ES2024', 'DOM', 'DOM.Iterable'], types: [], skipLibCheck: false }, include: ['*.ts'] })
  })
  t.equal(await build(join(directory, 'dist')), '')
  const { exports: { '.': entry } } = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8')) as { exports: { '.': Record<string, string> } }
  for (const file of Object.values(entry)) t.ok(existsSync(join(directory, file)), `${file} of the exports exists`)
  const built = await import(pathToFileURL(join(directory, 'dist/index.js')).href) as object
  t.same(Object.keys(built).sort(), ['ProblemError', 'createUserService', 'memoryStorage', 'webStorage'])

  const consumer = `import { createUserService, ProblemError, type User } from './dist/index.js'
const service = createUserService({ baseUrl: 'http://localhost:3000' })
const { data, etag } = await service.users.getMe()
const user: User = data
export const { status } = await service.users.updateMe({ body: { name: user.name }, ifMatch: etag })
export const role: 'user' | 'admin' = (await service.users.get({ path: { id: user.id } })).data.role
const again = await service.users.getMe({ ifNoneMatch: etag! })
export const name: string | undefined = again.data?.name
export const isProblem = (error: unknown) => error instanceof ProblemError && error.code
`
  const check = async (source: string) => {
    await writeFile(join(directory, 'consumer.ts'), source)
    const { stdout } = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', directory]).catch((error: { stdout: string }) => error)
    return stdout
  }
  t.equal(await check(consumer), '')
  const wrong = await check(`${consumer}
await service.users.create({ body: { email: 'a@example.com' } })
await service.users.get()
await service.users.updateMe({ body: { unknown: 1 } })
export const must: string = again.data.name
`)
  t.same([...wrong.matchAll(/consumer\.ts\((\d+),/g)].map(([, line]) => Number(line)), [11, 12, 13, 14], 'each misuse is an error of types')
})
