// CodeDeploy calls this before and after a new version gets traffic. It is plain JavaScript and runs without a build; the
// SDK is the runtime's own.
import { CodeDeployClient, PutLifecycleEventHookExecutionStatusCommand } from '@aws-sdk/client-codedeploy'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'

// A cold start and the slowest answer fit into ten seconds. CodeDeploy waits an hour for a hook that does not report.
const options = { maxAttempts: 3 }
const lambda = new LambdaClient(options)
const codedeploy = new CodeDeployClient(options)

/** @typedef {{ statusCode: number, body: string }} Answer */
/** @typedef {{ name: string, method: string, path: string, body?: object, holds: (answer: Answer, json: any) => boolean }} Check */

/** @type {Check[]} none of them writes: each one reads, or is rejected */
const LIVE = [
  { name: 'is alive', method: 'GET', path: '/health/live', holds: ({ statusCode }) => statusCode === 200 },
  { name: 'has read the root secret', method: 'GET', path: '/.well-known/jwks.json', holds: ({ statusCode }, json) => statusCode === 200 && json.keys.length > 0 }
]

/** @type {Check[]} */
const READY = [
  ...LIVE,
  { name: 'reaches its tables and its queue', method: 'GET', path: '/health/ready', holds: ({ statusCode }, json) => statusCode === 200 && json.status === 'healthy' },
  { name: 'refuses a registration without an address', method: 'POST', path: '/v2/users', body: {}, holds: ({ statusCode }, json) => statusCode === 400 && json.code === 'VALIDATION_FAILED' },
  { name: 'refuses to show a profile without a token', method: 'GET', path: '/v2/users/me', holds: ({ statusCode }, json) => statusCode === 401 && json.code === 'AUTH_TOKEN_INVALID' }
]

/** A request in the form in which API Gateway's REST APIs pass it to a function. */
const restEvent = ({ method, path, body }) => ({
  resource: '/{proxy+}',
  path,
  httpMethod: method,
  headers: { accept: 'application/json', host: 'smoke.invalid', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
  multiValueHeaders: null,
  queryStringParameters: null,
  multiValueQueryStringParameters: null,
  pathParameters: { proxy: path.slice(1) },
  stageVariables: null,
  requestContext: { httpMethod: method, path, stage: 'smoke', identity: { sourceIp: '127.0.0.1' } },
  body: body === undefined ? null : JSON.stringify(body),
  isBase64Encoded: false
})

/** @param {Check} check @returns {Promise<boolean>} */
async function holds (target, check) {
  try {
    const { FunctionError, Payload } = await lambda.send(new InvokeCommand({ FunctionName: target, Payload: JSON.stringify(restEvent(check)) }))
    if (FunctionError !== undefined) throw new Error(`the invocation failed: ${FunctionError}`)
    const answer = JSON.parse(Buffer.from(Payload).toString())
    const body = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString() : answer.body
    const held = check.holds(answer, body === '' ? undefined : JSON.parse(body))
    console.log(JSON.stringify({ check: check.name, target, held, statusCode: answer.statusCode }))
    return held
  } catch (error) {
    console.log(JSON.stringify({ check: check.name, target, held: false, error: `${error.name}: ${error.message}` }))
    return false
  }
}

/** Checks the version in `TARGET` and reports to CodeDeploy; `CHECKS` is `ready` (the API) or `live` (a worker). */
export async function handler ({ DeploymentId: deploymentId, LifecycleEventHookExecutionId: lifecycleEventHookExecutionId }) {
  const { TARGET, CHECKS } = process.env
  const results = []
  for (const check of CHECKS === 'live' ? LIVE : READY) results.push(await holds(TARGET, check))
  const status = results.every(Boolean) ? 'Succeeded' : 'Failed'
  await codedeploy.send(new PutLifecycleEventHookExecutionStatusCommand({ deploymentId, lifecycleEventHookExecutionId, status }))
  return { status }
}
