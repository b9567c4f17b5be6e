import type { Context } from 'aws-lambda'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { buildApp } from '../../src/app.ts'
import { createDispatch } from '../../src/lambda/dispatch.ts'
import { loadConfig } from '../../src/plugins/config.ts'
import { startEngines } from '../engines.ts'
import { setVariables } from '../environment.ts'

// The hook, on the SDK that the Lambda runtime has too, against a server that answers for Lambda (with the real app behind
// it) and for CodeDeploy.
const ARN = 'arn:aws:lambda:eu-central-1:123456789012:function:ApiFunction:7'
const engines = await startEngines(t)

type Invoke = (event: unknown) => Promise<unknown>
let invoke: Invoke
const invoked: { target: string, path: string }[] = []
const reports: Record<string, unknown>[] = []
const server = createServer((request, response) => {
  void (async () => {
    const body = JSON.parse(await text(request)) as Record<string, unknown>
    if (request.headers['x-amz-target'] === 'CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus') {
      reports.push(body)
      return response.setHeader('content-type', 'application/x-amz-json-1.1').end(JSON.stringify({ lifecycleEventHookExecutionId: body['lifecycleEventHookExecutionId'] }))
    }
    const target = /\/functions\/([^/]+)\/invocations/.exec(decodeURIComponent(request.url!))?.[1] ?? ''
    invoked.push({ target, path: String(body['path']) })
    try {
      response.end(JSON.stringify(await invoke(body)))
    } catch (error) {
      response.setHeader('x-amz-function-error', 'Unhandled').end(JSON.stringify({ errorMessage: String(error) }))
    }
  })()
})
await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
t.teardown(() => { server.closeAllConnections(); server.close() })
const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
t.teardown(setVariables({ AWS_REGION: LOCAL_AWS.region, AWS_ENDPOINT_URL_LAMBDA: endpoint, AWS_ENDPOINT_URL_CODEDEPLOY: endpoint, TARGET: ARN, CHECKS: undefined }))

const { handler } = await import(new URL('../../hooks/smoke/index.mjs', import.meta.url).href) as { handler: (event: object) => Promise<{ status: string }> }

/** The app as Lambda runs it, with some of its environment changed. */
async function functionWith (env: Record<string, string>): Promise<Invoke> {
  const app = await buildApp({ config: loadConfig({ ...engines.env, LOG_LEVEL: 'silent', ...env }), docs: { source: 'routes' } })
  const dispatch = createDispatch(app)
  await app.ready()
  t.teardown(() => app.close())
  return event => dispatch(event, {} as Context)
}

async function smoke (checks: 'ready' | 'live', fn: Invoke) {
  invoke = fn
  invoked.length = reports.length = 0
  process.env['CHECKS'] = checks
  const { status } = await handler({ DeploymentId: 'd-1', LifecycleEventHookExecutionId: 'h-1' })
  t.strictSame(reports, [{ deploymentId: 'd-1', lifecycleEventHookExecutionId: 'h-1', status }], 'CodeDeploy gets the result')
  return status
}

t.test('a version that works gets its traffic', async t => {
  t.equal(await smoke('ready', await functionWith({})), 'Succeeded')
  t.ok(invoked.length >= 5)
  t.strictSame([...new Set(invoked.map(({ target }) => target))], [ARN], 'it was that version which was asked')
})

t.test('a version that cannot reach its table gets none; as a worker, which reads none, it does', async t => {
  const broken = await functionWith({ AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:9' })
  t.equal(await smoke('ready', broken), 'Failed')
  t.equal(await smoke('live', broken), 'Succeeded')
})

t.test('a version that does not start gets none', async t => {
  t.equal(await smoke('live', async () => { throw new Error('Configuration: USERS_TABLE is missing') }), 'Failed')
})

t.test('a version that answers 500, or no JSON, gets none', async t => {
  t.equal(await smoke('live', async () => ({ statusCode: 500, body: '{}' })), 'Failed')
  t.equal(await smoke('live', async () => ({ statusCode: 200, body: '<html>' })), 'Failed')
})
