import type { Context } from 'aws-lambda'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t from 'tap'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { overLambda, restEvent } from './transports.ts'

const engines = await startEngines(t)

t.test('the integration tests pass at the address of a REST API without a domain, which ends with its stage', async t => {
  // API Gateway: the path after the stage goes to the function, and every other path is refused.
  const server = createServer((request, response) => {
    const answer = async () => {
      const body = await buffer(request)
      if (!request.url!.startsWith('/dev/')) return response.writeHead(403).end()
      const headers = Object.entries(request.headers).filter(([name]) => !['host', 'content-length', 'connection'].includes(name)).map(([name, value]): [string, string] => [name, String(value)])
      const { status, headers: answered, body: content } = await send({ method: request.method!, target: request.url!.slice(4), headers, ...(body.length === 0 ? {} : { body }) })
      return response.writeHead(status, answered).end(content)
    }
    answer().catch((error: Error) => { response.writeHead(500).end(error.message) })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dev`
  const handler = createDispatch(await buildTestApp(t, engines, { env: { PUBLIC_URL: url } }))
  const send = overLambda(async event => await handler(event as object, {} as Context), request => restEvent(request, 'dev'))
  const run = async (PUBLIC_URL: string) => await promisify(execFile)(process.execPath, ['scripts/integration.ts'], { env: { PATH: process.env['PATH'], PUBLIC_URL, INBOX_URL: '' } })
    .then(({ stdout }) => ({ code: 0, stdout }), ({ code, stdout }: { code: number, stdout: string }) => ({ code, stdout }))
  const { code, stdout } = await run(url)
  t.equal(code, 0, stdout)
  t.match(stdout, /ok \d+ - v1 registers a user once/)
  t.equal((await run(url.replace('/dev', ''))).code, 1, 'and fail without the stage')
})
