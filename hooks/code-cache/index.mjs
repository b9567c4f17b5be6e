// Makes the code cache of an artifact: what V8 has compiled of `service.cjs` once the app has started and answered some requests.
// V8 accepts a cache from the very same build of Node with the same flags only, so `npm run deploy` runs this as a function in
// Lambda's own runtime, without permissions, and benchmarks and tests run it in a process of their own. Plain JavaScript, without
// packages. See docs/adr/0154-one-script-with-a-code-cache.md.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import vm from 'node:vm'
import { gunzipSync, gzipSync } from 'node:zlib'

const unpacked = text => gunzipSync(Buffer.from(text, 'base64'))

/** AWS as far as a first request needs it: each secret has one version, and each table is empty and accepts every write. */
async function startAws () {
  const server = createServer((request, response) => {
    const parts = []
    request.on('data', part => parts.push(part)).on('end', () => {
      const { SecretId, VersionStage } = JSON.parse(Buffer.concat(parts).toString() || '{}')
      response.setHeader('content-type', 'application/x-amz-json-1.0')
      if (SecretId === undefined) return response.end('{}')
      if (VersionStage === 'AWSPREVIOUS') {
        response.statusCode = 400
        return response.end('{"__type":"ResourceNotFoundException","message":"no such version"}')
      }
      response.end(JSON.stringify({ ARN: SecretId, Name: 'secret', VersionId: '1', VersionStages: ['AWSCURRENT'], SecretString: `${SecretId}, which protects nothing` }))
    })
  })
  await new Promise(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return server
}

/**
 * @param {object} event
 * @param {Record<string, string>} event.files the code of the artifact by its names, gzip in base64
 * @param {Record<string, string>} event.environment the function's variables, without an address of AWS
 * @param {object[]} event.requests the events that the app answers
 * @returns {Promise<{ runtime: string, cache: string, statuses: number[] }>} the runtime that accepts the cache; the cache, gzip in
 *   base64; and the statuses of the answers
 */
export async function handler ({ files, environment, requests }) {
  const directory = await mkdtemp(join(tmpdir(), 'code-cache-'))
  const aws = await startAws()
  const { Script } = vm
  // V8 drops what it has compiled of functions that were not called for some time, such as those of the start.
  setFlagsFromString('--no-flush-bytecode')
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), unpacked(content))
    Object.assign(process.env, environment, { AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.address().port}` })
    let script
    vm.Script = class extends Script {
      constructor (...parameters) {
        super(...parameters)
        script = this
      }
    }
    const artifact = await import(pathToFileURL(join(directory, 'index.mjs')).href)
    vm.Script = Script
    const statuses = []
    for (const request of requests) statuses.push((await artifact.handler(request, {})).statusCode)
    // The flags are part of what V8 compares.
    setFlagsFromString('--flush-bytecode')
    return { runtime: `${process.version}-${process.arch}`, cache: gzipSync(script.createCachedData()).toString('base64'), statuses }
  } finally {
    vm.Script = Script
    aws.closeAllConnections()
    aws.close()
    await rm(directory, { recursive: true, force: true })
  }
}
