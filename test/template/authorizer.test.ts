import t from 'tap'
import { loadSettings } from '../../src/authorizer/settings.ts'
import { evaluate, loadTemplate, resourcesOf } from './evaluate.ts'
import { grantsOf } from './iam.ts'

const OWN = ['AuthorizerFunction', 'AuthorizerFunctionLogs', 'AuthorizerFunctionRole', 'AuthorizerPermission', 'AuthorizerThrottlesAlarm', 'AuthorizerDurationAlarm']
const on = evaluate(loadTemplate(), { CreateAuthorizer: 'true', PublicUrl: 'https://users.example.com' })
const off = evaluate(loadTemplate())

t.test('the authorizer is there on demand, and exported for other stacks', async t => {
  t.strictSame(Object.keys(on.Resources).filter(id => !(id in off.Resources)).sort(), [...OWN].sort())
  t.match((on.Outputs as Record<string, object>)['AuthorizerArn'], { Export: { Name: { 'Fn::Sub': '${AWS::StackName}-authorizer' } } }) // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  t.notOk('AuthorizerArn' in (off.Outputs as object))
})

t.test('it may write its log and nothing else, and has no secret', async t => {
  t.strictSame(grantsOf(on, 'AuthorizerFunctionRole'), { AuthorizerFunctionLogs: ['logs:CreateLogStream', 'logs:PutLogEvents'] })
  const variables = on.Resources['AuthorizerFunction']!.Properties['Environment'].Variables as Record<string, unknown>
  t.strictSame(Object.keys(variables).sort(), ['JWKS_URL', 'JWT_AUDIENCE', 'JWT_ISSUER'])
})

t.test('it believes the tokens of this stack, by the keys that this stack publishes', async t => {
  const common = on.Globals!['Function'].Environment.Variables as Record<string, unknown>
  const text = (value: unknown) => String((value as { 'Fn::Sub'?: string, Ref?: string })['Fn::Sub'] ?? (value as { Ref: string }).Ref.replace('AWS::StackName', 'user-service-prod')).replace('${PublicUrl}', 'https://users.example.com').replace('${DomainName}', 'users.example.com') // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  for (const parameters of [{}, { DomainName: 'users.example.com' }]) {
    const { Environment } = evaluate(loadTemplate(), { CreateAuthorizer: 'true', ...parameters }).Resources['AuthorizerFunction']!.Properties as { Environment: { Variables: Record<string, unknown> } }
    const { JWKS_URL, JWT_ISSUER, JWT_AUDIENCE } = Environment.Variables
    t.strictSame([JWT_ISSUER, JWT_AUDIENCE], [common['JWT_ISSUER'], common['JWT_AUDIENCE']])
    t.strictSame(loadSettings({ JWKS_URL: text(JWKS_URL), JWT_ISSUER: text(JWT_ISSUER), JWT_AUDIENCE: text(JWT_AUDIENCE) }), { jwksUrl: 'https://users.example.com/.well-known/jwks.json', issuer: 'user-service-prod', audience: 'user-service-prod' })
  }
})

t.test('it is watched', async t => {
  const alarms = resourcesOf(on, 'AWS::CloudWatch::Alarm').filter(([, { Properties }]) => JSON.stringify(Properties).includes('"AuthorizerFunction"')).map(([id]) => id)
  t.strictSame(alarms.sort(), ['AuthorizerDurationAlarm', 'AuthorizerThrottlesAlarm'])
})
