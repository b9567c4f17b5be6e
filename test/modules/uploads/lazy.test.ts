import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { completeEnv } from '../../../local/env.ts'

const ROOT = new URL('../../../', import.meta.url).pathname

t.test('a start with a bucket loads no code of S3; the first form does', async t => {
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load (url, context, next) { loaded.push(url); return next(url, context) } })
    const { buildApp } = await import('./src/app.ts')
    const { loadConfig } = await import('./src/plugins/config.ts')
    const app = await buildApp({ config: loadConfig(process.env), docs: { source: 'files', directory: 'docs/openapi' } })
    await app.ready()
    const ofS3 = () => loaded.filter(url => /client-s3|s3-presigned-post|s3-request-presigner|middleware-sdk-s3/.test(url)).length
    const atStart = ofS3()
    await app.s3.client()
    console.log(JSON.stringify({ all: loaded.length, atStart, afterUse: ofS3() }))
    await app.close()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT, env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...completeEnv({ LOG_LEVEL: 'silent', UPLOADS_BUCKET: 'users-uploads' }) } })
  const { all, atStart, afterUse } = JSON.parse(stdout) as Record<string, number>
  t.ok(all! > 100, `${all} files were watched`)
  t.equal(atStart, 0)
  t.ok(afterUse! > 0)
})

t.test('there is one S3 client', async t => {
  const { packages } = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8')) as { packages: Record<string, object> }
  t.strictSame(Object.keys(packages).filter(path => path.endsWith('/@aws-sdk/client-s3')), ['node_modules/@aws-sdk/client-s3'])
})
