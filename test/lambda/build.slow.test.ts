import { unzipSync } from 'fflate'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { freePort } from '../../local/ports.ts'
import { buildLambda } from '../../scripts/build/lambda.ts'
import { buildServer } from '../../scripts/build/server.ts'
import { zipDirectory } from '../../scripts/build/zip.ts'
import { startEngines } from '../engines.ts'
import { setVariables } from '../environment.ts'
import { until } from '../until.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

t.test('two builds are one file, whenever and wherever they are made', async (t) => {
  const [first, second] = [join(t.testdir({ a: {}, deeper: { b: {} } }), 'a/lambda'), join(t.testdirName, 'deeper/b/lambda')]
  await buildLambda(first)
  await buildLambda(second)
  const before = sha256(await zipDirectory(first))
  for (const file of await readdir(second, { recursive: true })) await utimes(join(second, file), 0, 0)
  const putBack = setVariables({ TZ: 'Pacific/Kiritimati' })
  try {
    t.equal(sha256(await zipDirectory(second)), before)
  } finally {
    putBack()
  }
  await writeFile(join(second, 'openapi/v1.json'), '{}')
  t.not(sha256(await zipDirectory(second)), before, 'another content is another file')
})

t.test('the zip holds what the directory does, and the directory what the function needs', async (t) => {
  const directory = join(t.testdir({}), 'lambda')
  const { inputs, outputs } = await buildLambda(directory)
  const entries = unzipSync(await zipDirectory(directory))
  // The other files are what the lazily loaded packages have in common.
  const lazy = ['aws-lambda-powertools-batch', 'aws-sdk-client-eventbridge', 'aws-sdk-client-s3', 'aws-sdk-client-sesv2', 'aws-sdk-s3-presigned-post', 'aws-sdk-s3-request-presigner', 'fastify-aws-lambda', 'ioredis', 'nodemailer'].map(name => `${name}.mjs`)
  t.same(Object.keys(entries).filter(name => !/^[\w-]+-[A-Z0-9]{8}\.mjs$/.test(name) && !lazy.includes(name)), ['index.mjs', ...['ar.json', 'de.json', 'en.json', 'es.json', 'fr.json', 'ja.json', 'layout.html', 'layout.txt', 'pt.json'].map(name => `mail-templates/${name}`), 'openapi/v1.json', 'openapi/v2.json', 'service.cjs', ...['ar.json', 'de.json', 'en.json', 'es.json', 'fr.json', 'ja.json', 'page.css', 'page.html', 'page.js', 'pt.json'].map(name => `verify-page/${name}`)])
  for (const [name, bytes] of Object.entries(entries)) t.ok(Buffer.from(bytes).equals(await readFile(join(directory, name))), name)
  for (const version of ['v1', 'v2']) t.match(JSON.parse(await readFile(join(directory, `openapi/${version}.json`), 'utf8')), { openapi: /^3\.1/ })

  const bundled = Object.keys(inputs)
  t.ok(bundled.includes('src/lambda/start.ts'))
  t.same(lazy.filter(name => !(name in entries)), [])
  for (const unwanted of ['@fastify/swagger', '@fastify/swagger-ui', '@aws-sdk/credential-provider-node', '@aws-sdk/credential-provider-sso', '@aws-sdk/credential-provider-ini', 'pino-pretty', 'fauxqs', 'maildev', 'ajv/dist/compile', 'ajv-formats', 'fast-json-stringify/index.js', '@aws-sdk/client-secrets-manager', 'semver', 'ip-address', 'asn1.js']) {
    t.notOk(bundled.some(path => `${path}/`.includes(`node_modules/${unwanted}/`)), `without ${unwanted}`)
  }
  const kept = Object.values(outputs).flatMap(output => Object.entries(output.inputs)).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path)
  t.ok(kept.some(path => path.includes('/typebox/build/esm/value/check/')))
  t.notOk(kept.some(path => path.includes('/typebox/build/esm/value/cast/')), 'TypeBox without what is not used of it')
  const imports = Object.values(outputs).flatMap(output => output.imports)
  t.same(imports.filter(({ kind, external }) => external === true && kind !== 'require-call'), [], 'no built-in is an ESM import')
})

t.test('the artifact answers without Lambda around it, and compresses what it serves from files', async (t) => {
  const engines = await startEngines(t)
  const directory = join(t.testdir({}), 'lambda')
  await buildLambda(directory)
  const script = `
    const { handler } = await import(${JSON.stringify(pathToFileURL(join(directory, 'index.mjs')).href)})
    const requestContext = { stage: '$default', domainName: 'x.execute-api.eu-central-1.amazonaws.com', http: { method: 'GET', sourceIp: '192.0.2.1' } }
    const answers = []
    for (const [path, coding] of JSON.parse(process.argv[1])) answers.push(await handler({ version: '2.0', routeKey: '$default', rawPath: path, rawQueryString: '', headers: { host: 'x', 'accept-encoding': coding }, requestContext, isBase64Encoded: false }, {}))
    console.log(JSON.stringify(answers.map(({ statusCode, headers, body, isBase64Encoded }) => [statusCode, headers['content-encoding'] ?? null, Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8').length > 100])))
    process.exit()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, JSON.stringify([['/openapi/v2.json', 'br'], ['/openapi/v1.json', 'gzip'], ['/openapi/v1.json', 'identity'], ['/.well-known/jwks.json', 'br']])],
    { env: { PATH: process.env['PATH'], ...engines.env, LOG_LEVEL: 'silent' } })
  t.same(JSON.parse(stdout), [[200, 'br', true], [200, 'gzip', true], [200, null, true], [200, null, true]])
})

t.test('Swagger UI, and mail templates of one’s own, are in the artifact where they are asked for', async (t) => {
  const templates = t.testdir({ lambda: {}, good: { 'de.json': '{"SIGN_IN_CODE":{"subject":"Dein Code"}}' }, bad: { 'de.json': '{}', 'layot.html': '' } })
  const directory = join(templates, 'lambda')
  await t.rejects(buildLambda(directory, { mailTemplates: join(templates, 'bad') }), { message: /layot\.html: not the name of a template/ })
  await buildLambda(directory, { withUi: true, mailTemplates: join(templates, 'good') })
  const names = Object.keys(unzipSync(await zipDirectory(directory)))
  t.same(names.filter(name => name.startsWith('own-mail-templates/')), ['own-mail-templates/de.json'])
  t.same(names.filter(name => name.startsWith('openapi/ui/')).length, 3)
})

t.test('the server build runs', async (t) => {
  const engines = await startEngines(t)
  // Below the project, where it finds its packages.
  const directory = join(t.testdir({}), 'server')
  await buildServer(directory)
  const port = await freePort()
  const server = spawn(process.execPath, [join(directory, 'index.mjs')], {
    env: { ...engines.env, PORT: String(port) },
    stdio: 'ignore'
  })
  t.teardown(() => server.kill('SIGKILL'))
  const answer = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`)
  t.equal((await until(() => answer('/health/ready'))).status, 200)
  t.equal((await answer('/verify')).status, 200)
  t.equal((await answer('/openapi/v2.json')).status, 200)
  t.equal((await answer('/docs/swagger-ui.css')).status, 200)
})
