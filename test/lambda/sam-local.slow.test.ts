import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dotenvLine } from '../../local/dotenv.ts'
import { completeEnv } from '../../local/env.ts'
import { containerEnv, localTemplate, overrides, portsOf } from '../../scripts/sam-local.ts'
import { loadConfig } from '../../src/plugins/config.ts'

const source = readFileSync(join(import.meta.dirname, '../../template.yaml'), 'utf8')
const DOTENV = Object.entries(completeEnv({
  AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:8001',
  AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:8002',
  EMAIL_QUEUE_URL: 'http://127.0.0.1:8002/000000000000/EmailQueue',
  SMTP_URL: 'smtp://user:secret@localhost:8003',
  EMAIL_FROM: 'Localhost <no-reply@localhost.example.com>'
})).map(([name, value]) => dotenvLine(name, value)).join('\n')

t.test('the environment of the engines is turned to where a container finds them', async (t) => {
  const env = containerEnv(DOTENV, 'http://localhost:3001')
  t.equal(env['AWS_ENDPOINT_URL_DYNAMODB'], 'http://host.docker.internal:8001')
  t.equal(env['EMAIL_QUEUE_URL'], 'http://host.docker.internal:8002/000000000000/EmailQueue')
  t.equal(env['SMTP_URL'], 'smtp://user:secret@host.docker.internal:8003')
  t.equal(env['EMAIL_FROM'], 'Localhost <no-reply@localhost.example.com>')
  t.equal(env['PUBLIC_URL'], 'http://localhost:3001', 'which a browser opens, not the container')
  t.same(portsOf(env), [8001, 8002, 8003])
})

t.test('what the function then gets is a whole configuration', async (t) => {
  const env = containerEnv(DOTENV, 'http://localhost:3001')
  const template = localTemplate(source, Object.keys(env))
  const variables = overrides(template, env)
  const config = loadConfig(variables)
  t.equal(config.JWT_SECRET_ARN, undefined, 'what exists only on AWS is empty')
  t.equal(config.SMTP_URL, 'smtp://user:secret@host.docker.internal:8003')

  const declared = Object.keys(template.toJS().Globals.Function.Environment.Variables)
  for (const name of Object.keys(env)) t.ok(declared.includes(name), `${name} is declared, or sam local would drop it`)
})

t.test('the template for sam local names this machine\'s architecture, the artifact\'s path and functions by their ARN', async (t) => {
  const template = localTemplate(source, [])
  const { Globals, Resources } = template.toJS() as { Globals: { Function: { Architectures: string[] } }, Resources: Record<string, { Properties?: { CodeUri?: string } }> }
  t.same(Globals.Function.Architectures, [process.arch === 'arm64' ? 'arm64' : 'x86_64'])
  t.equal(Resources['ApiFunction']?.Properties?.CodeUri, join(import.meta.dirname, '../../dist/lambda'))
  t.notMatch(template.toString(), /functions\/\$\{\w+\.Alias\}/)
  t.match(template.toString(), '!GetAtt', 'and is CloudFormation still')
})

t.test('sam local serves one API, as a stack has one', async (t) => {
  const apis = Object.entries((localTemplate(source, []).toJS() as { Resources: Record<string, { Type: string }> }).Resources)
    .filter(([, { Type }]) => /^AWS::(?:Serverless::(?:Http)?Api|ApiGatewayV2::Api)$/.test(Type)).map(([id]) => id)
  t.same(apis, ['Api'])
})
