import { CreateSecretCommand, DescribeSecretCommand, GetSecretValueCommand, ListSecretVersionIdsCommand, PutSecretValueCommand, RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { adminOf, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { setVariables } from '../environment.ts'
import { startMoto, type Moto } from '../moto.ts'
import { runScript } from '../operator.ts'
import { until } from '../until.ts'
import { forger } from '../plugins/bad-tokens.ts'

const { now } = Date
let later = 0
Date.now = () => now() + later
t.teardown(() => { Date.now = now })

const value = () => randomBytes(32).toString('hex')

async function setUp (t: Test, moto: Moto) {
  const client = new SecretsManagerClient({ region: moto.env['AWS_REGION']!, endpoint: moto.endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
  t.teardown(() => client.destroy())
  const create = async (name: string) => (await client.send(new CreateSecretCommand({ Name: `${name}-${crypto.randomUUID()}`, SecretString: value() }))).ARN!
  const arns = { JWT_SECRET_ARN: await create('root'), CODE_SECRET_ARN: await create('code') }
  const env = { ...moto.env, ...arns }
  return {
    client,
    arns,
    env: env as Record<string, string>,
    secrets: async (args: string[], more: Record<string, string> = {}) => await runScript('secrets', args, { ...env, ...more }),
    valueOf: async (arn: string, VersionStage = 'AWSCURRENT') => (await client.send(new GetSecretValueCommand({ SecretId: arn, VersionStage }))).SecretString!,
    stages: async (arn: string) => (await client.send(new DescribeSecretCommand({ SecretId: arn }))).VersionIdsToStages!,
    versions: async (arn: string) => (await client.send(new ListSecretVersionIdsCommand({ SecretId: arn, IncludeDeprecated: true }))).Versions!.length
  }
}

/** moto, but a version that has a value does not get another one, as the API reference of PutSecretValue says of AWS. */
async function startStrict (t: Test, endpoint: string): Promise<string> {
  const written = new Map<string, string>()
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request)
      const { ClientRequestToken: token, SecretString } = JSON.parse(body) as Record<string, string>
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      if (request.headers['x-amz-target'] === 'secretsmanager.PutSecretValue') {
        if ((written.get(token!) ?? SecretString) !== SecretString) return response.writeHead(400).end(JSON.stringify({ __type: 'ResourceExistsException', message: 'x' }))
        written.set(token!, SecretString!)
      }
      const answer = await fetch(endpoint, { method: 'POST', body, headers: request.headers as Record<string, string> })
      response.writeHead(answer.status).end(await answer.text())
    })()
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const moto = await startMoto(t)
if (moto !== undefined) {
  /** Two hours later, for a command: no version can be made in the past. */
  const LATER = { NODE_OPTIONS: '--import=data:text/javascript,const%20n=Date.now;Date.now=()=>n()+72e5' }

  t.test('a rotation keeps the version before, is refused within an hour, and shows no secret', async t => {
    const { secrets, arns, valueOf, stages } = await setUp(t, moto)
    const { JWT_SECRET_ARN: root, CODE_SECRET_ARN: code } = arns
    const [first, firstCode] = [await valueOf(root), await valueOf(code)]
    const runs = [
      await secrets(['status']),
      await secrets(['rotate', '--yes']),
      await secrets(['rotate', '--dry-run'], LATER),
      await secrets(['rotate'], LATER)
    ]
    t.match(runs[0], { code: 0, stdout: /^root {2}made .*, 0 min ago; no schedule\ncode {2}made / })
    t.match(runs[1], { code: 1, stderr: /^The root secret was made or rotated 0 min ago\. .*wait 60 min, or pass --leaked/ })
    t.match(runs[2], { code: 0, stdout: /^Would rotate the root secret once: .*Nothing was changed/ })
    t.match(runs[3], { code: 2, stderr: /^Nothing was changed\. .*--yes/ })
    t.equal(await valueOf(root), first, 'nothing has changed so far')

    runs.push(await secrets(['rotate', '--yes'], LATER))
    t.match(runs[4], { code: 0, stdout: /^root: rotated, / })
    t.equal(await valueOf(root, 'AWSPREVIOUS'), first)
    t.match(await valueOf(root), /^[A-Za-z0-9]{64}$/)
    t.equal(await valueOf(code), firstCode, 'the other one is left alone')

    runs.push(await secrets(['rotate', '--secret', 'all', '--leaked', '--yes']))
    t.match(runs[5], { code: 0, stdout: /root: rotated twice[^]*code: rotated twice/ })
    for (const [arn, old] of [[root, first], [code, firstCode]] as const) {
      t.not(await valueOf(arn), old)
      t.not(await valueOf(arn, 'AWSPREVIOUS'), old)
      t.same(Object.values(await stages(arn)).flat().sort(), ['AWSCURRENT', 'AWSPREVIOUS'])
    }
    const shown = runs.map(({ stdout, stderr }) => stdout + stderr).join('\n')
    for (const arn of [root, code]) for (const stage of ['AWSCURRENT', 'AWSPREVIOUS']) t.notMatch(shown, await valueOf(arn, stage))
    t.notMatch(shown, first)
  })

  t.test('a wrong call says in one line what is missing', async t => {
    const { secrets } = await setUp(t, moto)
    t.match(await secrets(['--help']), { code: 0, stdout: /^npm run secrets -- status \| rotate/ })
    t.match(await secrets(['rotate', '--secret', 'jwt']), { code: 2, stderr: /^--secret is one of root, code, all\n$/ })
    t.match(await secrets(['status', '--stack', 'no-such-stack']), { code: 2, stderr: /^There is no stack no-such-stack in this account and region\n$/ })
    t.match(await secrets(['status'], { JWT_SECRET_ARN: '' }), { code: 2, stderr: /^--stack is missing/ })
  })

  t.test('an admin token forged with a leaked secret works before, and in no instance a minute after rotate --leaked; sessions go on', async t => {
    const { env, arns, secrets, valueOf, versions } = await setUp(t, moto)
    const engines = await startEngines(t)
    const appEnv = { JWT_SECRET: undefined, ...arns, AWS_REGION: env['AWS_REGION'], AWS_ENDPOINT_URL: moto.endpoint }
    const instances = [await buildTestApp(t, engines, { env: appEnv }), await buildTestApp(t, engines, { env: appEnv })]
    const [busy, frozen] = instances as [typeof instances[0], typeof instances[0]]
    const user = await signIn(busy, engines, 'stays@example.com')
    const { userId: adminId } = await adminOf(busy)
    const { email } = (await busy.users.getFresh(adminId))!
    const { JWT_ISSUER: iss, JWT_AUDIENCE: aud } = busy.config
    // Good for a month: an attacker chooses.
    const forged = forger(await valueOf(arns.JWT_SECRET_ARN)).forge({ claims: { sub: adminId, userId: adminId, email, role: 'admin', iss, aud, exp: Math.floor(now() / 1000) + 30 * 86_400 } })
    const asAdmin = async (app: typeof busy) => (await app.inject({ url: '/v2/users', headers: { authorization: `Bearer ${forged}` } })).statusCode
    t.same([await asAdmin(busy), await asAdmin(frozen)], [200, 200], 'the leak is real')

    // The gateway, with any of the instances behind it.
    const gateway = createServer((request, response) => { void busy.inject({ url: request.url! }).then(({ body }) => response.end(body)) })
    await new Promise<void>(resolve => { gateway.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { gateway.close(); gateway.closeAllConnections() })
    const running = secrets(['rotate', '--leaked', '--yes'], { PUBLIC_URL: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` })
    await until(async () => await versions(arns.JWT_SECRET_ARN) === 3)
    t.equal(await asAdmin(busy), 200, 'an instance that has not looked yet')
    t.equal(await asAdmin(await buildTestApp(t, engines, { env: appEnv })), 401, 'a new instance knows at once')

    later += 61_000
    t.same([await asAdmin(busy), await asAdmin(frozen)], [401, 401], 'a minute later none accepts it')
    t.match(await running, { code: 0, stdout: /root: rotated twice.*\nNo instance .* accepts the versions before after .*\nThe published keys are new\.\n$/ })
    t.equal((await busy.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${user.accessToken}` } })).statusCode, 401, 'access tokens of users have ended')
    const refreshed = await frozen.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken: user.refreshToken } })
    t.equal(refreshed.statusCode, 200, 'their sessions go on')
    t.equal((await busy.inject({ url: '/v2/users/me', headers: { authorization: `Bearer ${refreshed.json<{ accessToken: string }>().accessToken}` } })).statusCode, 200)
  })

  t.test('by schedule: the four steps of a rotation, each repeated, make a new current version and keep the one before', async t => {
    const { client, arns: { JWT_SECRET_ARN: SecretId }, valueOf, stages, env, secrets } = await setUp(t, moto)
    t.teardown(setVariables({ AWS_ENDPOINT_URL_SECRETS_MANAGER: await startStrict(t, moto.endpoint), AWS_REGION: env['AWS_REGION'] }))
    const { handler } = await import(new URL('../../hooks/rotate/index.mjs', import.meta.url).href) as { handler: (event: object) => Promise<void> }
    const lines: string[] = []
    const { log } = console
    console.log = (line: string) => { lines.push(line) }
    t.teardown(() => { console.log = log })
    const first = await valueOf(SecretId)
    // moto makes the version that waits, and calls a function of its own that does nothing: the test takes its place.
    await fetch(`${moto.endpoint}/moto-api/config`, { method: 'POST', body: JSON.stringify({ lambda: { use_docker: false } }) })
    const RotationLambdaARN = (await moto.shell(`
      role=$(aws iam create-role --role-name rotate --assume-role-policy-document '{}' --query Role.Arn --output text)
      aws lambda create-function --function-name rotate --runtime nodejs24.x --handler index.handler --role "$role" --zip-file fileb://<(printf 'PK\\005\\006${'\\000'.repeat(18)}') --query FunctionArn --output text`)).trim()
    const begin = async () => (await client.send(new RotateSecretCommand({ SecretId, RotationLambdaARN, RotationRules: { AutomaticallyAfterDays: 90 } }))).VersionId!

    await t.rejects(handler({ Step: 'createSecret', SecretId, ClientRequestToken: crypto.randomUUID() }), { message: 'the secret has no rotation schedule' })
    const token = await begin()
    const step = async (Step: string, ClientRequestToken = token) => await handler({ Step, SecretId, ClientRequestToken })
    await t.rejects(step('createSecret', crypto.randomUUID()), { message: 'the version is not one that waits to be rotated to' }, 'a wrong token')
    await t.rejects(step('createSecret'), { message: 'the secret was rotated less than an hour ago' })
    later += 2 * 3_600_000
    await t.rejects(step('dropSecret'), { message: 'the step is unknown' })

    await step('createSecret')
    const pending = await valueOf(SecretId, 'AWSPENDING')
    t.match(pending, /^[A-Za-z0-9]{64}$/)
    await step('createSecret')
    t.equal(await valueOf(SecretId, 'AWSPENDING'), pending, 'repeated, it writes no other value')
    for (const Step of ['setSecret', 'setSecret', 'testSecret', 'test_secret']) await step(Step)
    t.equal(await valueOf(SecretId), first, 'until its end the rotation changes nothing for the service')
    for (const Step of ['finishSecret', 'finishSecret', 'createSecret']) await step(Step)
    t.equal(await valueOf(SecretId), pending)
    t.equal(await valueOf(SecretId, 'AWSPREVIOUS'), first)
    t.same((await stages(SecretId))[token], ['AWSCURRENT'], 'nothing is pending')

    // A rotation by hand in between does not block the next one.
    await client.send(new PutSecretValueCommand({ SecretId, SecretString: value() }))
    t.match(await secrets(['status']), { code: 0, stdout: /^root {2}rotated .*; next rotation by 20\d\d-/ })
    const second = await begin()
    t.match(await secrets(['status']), { stdout: /^root .*; a scheduled rotation is not finished$/m })
    later += 2 * 3_600_000
    for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) await step(Step, second)
    t.same((await stages(SecretId))[second], ['AWSCURRENT'])
    await t.rejects(step('finishSecret'), { message: 'the version is not one that waits to be rotated to' }, 'an old version does not come back')
    t.notMatch(lines.join('\n'), new RegExp(`${first}|${pending}`), 'no value is logged')
    t.ok(lines.length > 8)
  })
}
