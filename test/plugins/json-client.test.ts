import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { Sha256 } from '@smithy/core/checksum'
import { SignatureV4 } from '@smithy/signature-v4'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { createRequestHandler } from '../../src/plugins/aws/connections.ts'
import { createJsonClient, endpointOf, signedHeaders } from '../../src/plugins/aws/json-client.ts'
import { setVariables } from '../environment.ts'
import { until } from '../until.ts'

const SECRETS = { name: 'secretsmanager', target: 'secretsmanager', clientName: 'SecretsManagerClient', endpointVariable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER' }

t.teardown(setVariables({ AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' }))

interface Asked { method: string | undefined, url: string | undefined, headers: IncomingHttpHeaders, body: string }

/** A service that answers each request as the test says, and a client of it. */
async function startService (t: Test, answer: (response: ServerResponse, asked: Asked, count: number) => void) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body })
      answer(response, asked.at(-1)!, asked.length)
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const client = createJsonClient({
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    maxAttempts: 3,
    retryMode: 'standard',
    requestHandler: createRequestHandler({ connectionTimeout: 500, requestTimeout: 700, isRepeatable: true })
  }, SECRETS)
  t.teardown(() => { client.destroy(); server.close(); server.closeAllConnections() })
  return {
    client,
    asked,
    port: (server.address() as AddressInfo).port,
    connections: async () => await promisify(server.getConnections.bind(server))()
  }
}

t.test('a request is signed as the SDK signs it', async t => {
  const date = new Date('2026-11-26T08:00:00.123Z')
  for (const sessionToken of [undefined, 'a/session+token==']) {
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', ...(sessionToken === undefined ? {} : { sessionToken }) }
    for (const body of ['{}', '{"SecretId":"arn:aws:…é"}']) {
      const headers = { host: 'secretsmanager.cn-north-1.amazonaws.com.cn', 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.GetSecretValue' }
      const signer = new SignatureV4({ service: 'secretsmanager', region: 'cn-north-1', credentials, sha256: Sha256, applyChecksum: false })
      const { headers: expected } = await signer.sign({ protocol: 'https:', hostname: headers.host, method: 'POST', path: '/', headers, body } as never, { signingDate: date }) as unknown as { headers: object }
      t.same(signedHeaders({ headers, body, region: 'cn-north-1', service: 'secretsmanager', credentials, date }), expected)
    }
  }
})

t.test('the endpoint is the one of the SDK, in every partition', async t => {
  const client = new SecretsManagerClient({ region: 'eu-central-1' })
  t.teardown(() => client.destroy())
  for (const Region of ['eu-central-1', 'us-east-1', 'cn-north-1', 'us-gov-west-1', 'us-iso-east-1', 'us-isob-east-1', 'eusc-de-east-1']) {
    for (const UseFIPS of [false, true]) {
      // Other partitions do not offer both.
      for (const UseDualStack of (UseFIPS ? /^us-(?!iso)/ : /^(?!us-iso|eusc)/).test(Region) ? [false, true] : [false]) {
        const { url } = client.config.endpointProvider({ Region, UseFIPS, UseDualStack })
        t.equal(endpointOf(SECRETS, Region, UseFIPS ? { AWS_USE_FIPS_ENDPOINT: 'true' } : {}), url.href.replace(/\/$/, ''))
      }
    }
  }
  t.equal(endpointOf(SECRETS, 'cn-north-1', {}), 'https://secretsmanager.cn-north-1.amazonaws.com.cn')
  t.equal(endpointOf(SECRETS, 'cn-north-1', { AWS_ENDPOINT_URL_SECRETS_MANAGER: 'http://127.0.0.1:5000' }), 'http://127.0.0.1:5000')
  t.equal(endpointOf(SECRETS, 'eu-central-1', { AWS_ENDPOINT_URL_SECRETS_MANAGER: '', AWS_USE_FIPS_ENDPOINT: 'false' }), 'https://secretsmanager.eu-central-1.amazonaws.com', 'what is set to nothing is not set')
})

t.test('an operation gets its input, and gives its output, whatever its characters', async t => {
  const secret = 'ключ-é-🔑'.repeat(20_000)
  const { client, asked } = await startService(t, response => response.end(JSON.stringify({ SecretString: secret })))
  t.match(await client.call('GetSecretValue', { SecretId: 'ä' }), { SecretString: secret, $metadata: { httpStatusCode: 200, attempts: 1 } })
  t.match(asked, [{ method: 'POST', url: '/', body: '{"SecretId":"ä"}', headers: { 'content-length': '17', 'x-amz-target': 'secretsmanager.GetSecretValue', 'content-type': 'application/x-amz-json-1.1', authorization: /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-central-1\/secretsmanager\/aws4_request/ } }])
})

for (const [what, failure] of Object.entries({
  throttling: { status: 400, body: '{"__type":"com.amazonaws.secretsmanager#ThrottlingException","message":"slower"}' },
  'a failure of the service': { status: 500, body: '{"__type":"InternalServiceError"}' },
  'an answer that is no JSON': { status: 503, body: '<html>' }
})) {
  t.test(`${what} is tried again, three times in all`, async t => {
    const { client, asked } = await startService(t, (response, _asked, count) => {
      if (count % 3 !== 0) response.writeHead(failure.status, { 'x-amzn-requestid': 'r' })
      response.end(count % 3 === 0 ? '{"ok":true}' : failure.body)
    })
    t.match(await client.call('GetSecretValue', {}), { ok: true, $metadata: { attempts: 3 } })
    t.equal(asked.length, 3)

    const failing = await startService(t, response => response.writeHead(failure.status).end(failure.body))
    t.match(await failing.client.call('GetSecretValue', {}).catch((error: unknown) => error), { $metadata: { httpStatusCode: failure.status, attempts: 3 } })
    t.equal(failing.asked.length, 3)
  })
}

t.test('an error has the name that the service gives it, and is not tried again', async t => {
  let headers: Record<string, string> = {}
  let body = ''
  const { client, asked } = await startService(t, response => response.writeHead(400, headers).end(body))
  for (const given of ['{"__type":"ResourceNotFoundException","message":"no such version"}', '{"__type":"com.amazonaws#ResourceNotFoundException","Message":"no such version"}']) {
    body = given
    await t.rejects(client.call('GetSecretValue', {}), { name: 'ResourceNotFoundException', message: 'no such version', $metadata: { httpStatusCode: 400, attempts: 1 } })
  }
  // As the SDK names an error without a type.
  for (const given of ['null', '7', '{}', '{"message":7}', '<html>', '{"__type":""}', '{"__type":":http://internal.amazon.com/coral/"}']) {
    body = given
    await t.rejects(client.call('GetSecretValue', {}), { name: 'UnknownError', message: 'UnknownError' }, given)
  }
  asked.length = 2
  headers = { 'x-amzn-errortype': 'AccessDeniedException:http://internal.amazon.com/coral/', 'x-amzn-requestid': 'r-1' }
  body = ''
  await t.rejects(client.call('GetSecretValue', {}), { name: 'AccessDeniedException', $metadata: { requestId: 'r-1' } })
  t.equal(asked.length, 3)
})

for (const [what, skew] of Object.entries({ slow: 3600_000, fast: -3600_000 })) {
  t.test(`a clock that is ${what} by an hour costs one attempt, not each call`, async t => {
    let isDenied = false
    const { client, asked } = await startService(t, (response, { headers }) => {
      const signed = String(headers['x-amz-date']).replace(/(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)/, '$1-$2-$3:$4:$5')
      const now = Date.now() + skew
      response.setHeader('date', new Date(now).toUTCString())
      if (Math.abs(Date.parse(signed) - now) > 300_000) response.writeHead(400).end('{"__type":"InvalidSignatureException","message":"Signature expired"}')
      else if (isDenied) response.writeHead(400).end('{"__type":"AccessDeniedException"}')
      else response.end('{"ok":true}')
    })
    t.match(await client.call('GetSecretValue', {}), { ok: true, $metadata: { attempts: 2 } })
    t.match(await client.call('GetSecretValue', {}), { ok: true, $metadata: { attempts: 1 } })
    isDenied = true
    await t.rejects(client.call('GetSecretValue', {}), { name: 'AccessDeniedException', message: 'AccessDeniedException', $metadata: { attempts: 1 } })
    t.equal(asked.length, 4)
  })
}

t.test('a clock that is off by a little, or a service that does not say its time, is no reason to try again', async t => {
  let date: string | undefined
  const { client, asked } = await startService(t, response => {
    response.sendDate = false
    if (date !== undefined) response.setHeader('date', date)
    response.writeHead(400).end('{"__type":"InvalidSignatureException"}')
  })
  for (date of [undefined, '', 'yesterday', ...[-235_000, 0, 235_000].map(skew => new Date(Date.now() + skew).toUTCString())]) await t.rejects(client.call('GetSecretValue', {}), { name: 'InvalidSignatureException', $metadata: { attempts: 1 } })
  t.equal(asked.length, 6)
})

t.test('without an endpoint in the options the SDK\'s variable says it, and connections end with the client', async t => {
  const { asked, port, connections } = await startService(t, response => response.end('{"ok":true}'))
  t.teardown(setVariables({ AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${port}` }))
  const client = createJsonClient({ region: 'eu-central-1', maxAttempts: 1, retryMode: 'standard', requestHandler: createRequestHandler({ connectionTimeout: 500, requestTimeout: 700, isRepeatable: true }) }, SECRETS)
  t.match(await client.call('GetSecretValue', {}), { ok: true })
  t.equal(asked.length, 1)
  t.equal(await connections(), 1)
  client.destroy()
  // Before the server ends them, which it does after five seconds.
  await until(async () => await connections() === 0, { timeoutMs: 3000 })
})

t.test('a middleware sees each call, for traces', async t => {
  const { client } = await startService(t, response => response.end('{"ok":true}'))
  const seen: unknown[] = []
  client.middlewareStack.add((next, context) => async args => {
    const result = await next(args)
    seen.push(context, args, result)
    return result
  })
  await client.call('GetSecretValue', { SecretId: 'x' })
  t.match(seen, [{ clientName: 'SecretsManagerClient', commandName: 'GetSecretValueCommand' }, { input: { SecretId: 'x' } }, { output: { ok: true, $metadata: { httpStatusCode: 200 } } }])
})
