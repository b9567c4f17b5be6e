import type { Metafile } from 'esbuild'
import { createHash } from 'node:crypto'
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../src/shared/config-error.ts'
import { buildAuthorizer } from './build/authorizer.ts'
import { emptyDirectory, ROOT } from './build/bundle.ts'
import { buildLambda, OWN_TEMPLATES } from './build/lambda.ts'
import { packagesIn, writeSbom } from './build/sbom.ts'
import { buildServer } from './build/server.ts'
import { zipDirectory } from './build/zip.ts'
import { readOptions } from './options.ts'
import { endOnSignals } from './signals.ts'

const HELP = `npm run build [-- --composition] [--mail-templates DIR]: the Lambda artifact in dist/lambda and dist/lambda.zip, the
authorizer in dist/authorizer and dist/authorizer.zip, the plain server in dist/server. Beside each, a software bill of
materials (CycloneDX) names the packages whose code is in it, for the server those that it loads: dist/lambda.cdx.json,
dist/authorizer.cdx.json, dist/server.cdx.json.

  DOCS_ENABLED=true      puts Swagger UI into the Lambda artifact; the function serves it if it has the variable too
  --composition          lists the packages in the bundle
  --mail-templates DIR   puts a directory of mail templates into the Lambda artifact, as ${OWN_TEMPLATES}: the value of
                         MAIL_TEMPLATES_DIR for the function (docs/mails.md)
`

/** Bytes in the bundle by package; our own code by its folder. */
function composition (metafile: Metafile): [name: string, bytes: number][] {
  const sizes = new Map<string, number>()
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? (path.startsWith('src/') ? 'src' : path)
      sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
    }
  }
  return [...sizes].sort((a, b) => b[1] - a[1])
}

const kib = (bytes: number) => `${Math.round(bytes / 1024)} KiB`

/** Builds everything into a directory. */
async function buildAll (dist: string, { withUi, mailTemplates }: { withUi: boolean, mailTemplates: string | undefined }) {
  const lambda = await buildLambda(join(dist, 'lambda'), { withUi, mailTemplates })
  await buildServer(join(dist, 'server'))
  const zip = await zipDirectory(join(dist, 'lambda'))
  await writeFile(join(dist, 'lambda.zip'), zip)
  const authorizer = await buildAuthorizer(join(dist, 'authorizer'))
  const authorizerZip = await zipDirectory(join(dist, 'authorizer'))
  await writeFile(join(dist, 'authorizer.zip'), authorizerZip)
  // The files of Swagger UI are copied, and are in no bundle.
  const packages = [...packagesIn(lambda), ...(withUi ? ['node_modules/@fastify/swagger-ui'] : [])]
  const { components } = await writeSbom(join(dist, 'lambda.cdx.json'), 'user-service-lambda', packages)
  await writeSbom(join(dist, 'authorizer.cdx.json'), 'user-service-authorizer', packagesIn(authorizer))
  return { parts: composition(lambda), zip, authorizerZip, components }
}

async function main () {
  const { composition: wantsComposition, 'mail-templates': mailTemplates } = readOptions(HELP, { composition: { type: 'boolean' }, 'mail-templates': { type: 'string' } })
  endOnSignals()
  // Beside what an earlier build made, and in its place at the end: a Ctrl-C leaves that one whole.
  const dist = join(ROOT, 'dist')
  const building = join(dist, '.building')
  process.once('exit', () => rmSync(building, { recursive: true, force: true }))
  await emptyDirectory(building)
  const { parts, zip, authorizerZip, components } = await buildAll(building, { withUi: process.env['DOCS_ENABLED'] === 'true', mailTemplates })
  for (const name of readdirSync(building)) {
    rmSync(join(dist, name), { recursive: true, force: true })
    renameSync(join(building, name), join(dist, name))
  }

  const bundled = parts.reduce((sum, [, bytes]) => sum + bytes, 0)
  const sizeOf = (file: string) => kib(statSync(join(dist, file)).size)
  if (wantsComposition === true) for (const [name, bytes] of parts) console.log(`${kib(bytes).padStart(9)}  ${name}`)
  console.log(`dist/lambda      ${kib(bundled)} of ${parts.length} packages (--composition lists them), its service.cjs ${sizeOf('lambda/service.cjs')}`)
  console.log(`dist/lambda.zip  ${kib(zip.length)}, sha256 ${createHash('sha256').update(zip).digest('hex')}`)
  console.log(`dist/authorizer  ${sizeOf('authorizer/index.mjs')}, dist/authorizer.zip ${kib(authorizerZip.length)}`)
  console.log(`dist/*.cdx.json  ${components.length} packages in lambda.zip`)
  console.log('dist/server      node dist/server/index.mjs')
}

await main().catch((error: unknown) => {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message.replace(/^Configuration: MAIL_TEMPLATES_DIR:?/, '--mail-templates:'))
  process.exit(1)
})
