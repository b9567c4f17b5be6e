import t from 'tap'
import { ConfigSchema } from '../../src/plugins/config.ts'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'
import { callsOf, readSource, tableFaults } from './tables.ts'

t.test('each table is in the environment and in the configuration, and the function may do what its repository does', async t => {
  const template = evaluate(loadTemplate())
  t.ok(resourcesOf(template, 'AWS::DynamoDB::Table').length >= 3)
  t.strictSame(tableFaults(template), [])
})

t.test('what repositories call is seen', async t => {
  t.strictSame(callsOf('new GetCommand({'), { actions: ['GetItem'], hasOutbox: false })
  t.strictSame(callsOf('const outbox = app.outbox.open({ table })\nnew TransactWriteCommand({ TransactItems: [{ Put: x }, { Update: { } }, { ConditionCheck: { } }] })'), {
    actions: ['ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'UpdateItem'],
    hasOutbox: true
  })
})

t.test('a query is counted for what it reads: the table or an index', async t => {
  t.strictSame(callsOf("new QueryCommand({ TableName: table, KeyConditionExpression: 'x' })").actions, ['Query'])
  t.strictSame(callsOf("new QueryCommand({ TableName: table, IndexName: 'list' })").actions, [])
  const template = evaluate(loadTemplate())
  const { Statement } = template.Resources['ApiFunctionRole']!.Properties['Policies'][0].PolicyDocument as { Statement: { Sid: string, Resource: unknown[] }[] }
  const lists = Statement.find(({ Sid }) => Sid === 'Lists')!
  lists.Resource = lists.Resource.filter(resource => !JSON.stringify(resource).includes('index/list'))
  t.strictSame(tableFaults(template), ['template.yaml: ApiFunctionRole does not allow dynamodb:Query on the index list of UsersTable'])
})

const VARIABLES = [...Object.keys(ConfigSchema.properties), 'PLANTED_TABLE']
const REPOSITORY = 'src/modules/planted/repository.ts'
const EVENTS = 'src/modules/planted/events.ts'

/** The template with a table `planted`, complete but for what a test leaves out. */
function withPlanted (change: (template: Template, statements: Record<string, unknown>[]) => void = () => {}): Template {
  const template = loadTemplate()
  template.Resources['PlantedTable'] = structuredClone(template.Resources['UsersTable']!)
  template.Resources['PlantedStreamMapping'] = structuredClone(template.Resources['UsersStreamMapping']!)
  template.Resources['PlantedStreamMapping'].Properties['EventSourceArn'] = { 'Fn::GetAtt': ['PlantedTable', 'StreamArn'] }
  template.Globals!['Function'].Environment.Variables.PLANTED_TABLE = { Ref: 'PlantedTable' }
  const statements = template.Resources['ApiFunctionRole']!.Properties['Policies'][0].PolicyDocument.Statement as Record<string, unknown>[]
  statements.push(
    { Sid: 'Planted', Effect: 'Allow', Action: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem'], Resource: { 'Fn::GetAtt': ['PlantedTable', 'Arn'] } },
    { Sid: 'PlantedOutbox', Effect: 'Allow', Action: 'dynamodb:Query', Resource: { 'Fn::Sub': '${PlantedTable.Arn}/index/outbox' } }, // eslint-disable-line no-template-curly-in-string -- CloudFormation's
    { Sid: 'PlantedStream', Effect: 'Allow', Action: 'dynamodb:GetRecords', Resource: { 'Fn::GetAtt': ['PlantedTable', 'StreamArn'] } }
  )
  change(template, statements)
  return evaluate(template)
}

const faults = (template: Template, { variables = VARIABLES, source = 'new GetCommand(x)', door = 'app.outbox.open({ table })', events = "users.follow('user.deleted', forget)" } = {}) => {
  const planted: Record<string, string> = { [REPOSITORY]: source, 'src/modules/planted/index.ts': door, [EVENTS]: events }
  return tableFaults(template, variables, file => planted[file] ?? readSource(file))
}
const without = (sid: string) => withPlanted((_, statements) => { statements.splice(statements.findIndex(statement => statement['Sid'] === sid), 1) })

t.test('a new table that is complete has no fault, and one without …', async t => {
  t.strictSame(faults(withPlanted()), [])

  t.strictSame(faults(without('Planted')), ['DeleteItem', 'GetItem', 'PutItem'].map(action =>
    `template.yaml: ApiFunctionRole does not allow dynamodb:${action} on PlantedTable, which ${REPOSITORY} calls`), 'its IAM statement')
  t.strictSame(faults(withPlanted(), { source: 'new UpdateCommand(x)' }), [
    `template.yaml: ApiFunctionRole does not allow dynamodb:UpdateItem on PlantedTable, which ${REPOSITORY} calls`], 'one action')
  t.strictSame(faults(without('PlantedOutbox')), ['template.yaml: ApiFunctionRole does not allow dynamodb:Query on the outbox index of PlantedTable'])
  t.strictSame(faults(without('PlantedStream')), ['template.yaml: ApiFunctionRole may not read the stream of PlantedTable'])

  t.strictSame(faults(withPlanted(template => { delete template.Globals!['Function'].Environment.Variables.PLANTED_TABLE })), [
    'template.yaml: PLANTED_TABLE names no table under Globals.Function.Environment',
    'template.yaml: no variable under Globals.Function.Environment is !Ref PlantedTable'
  ], 'its name in the environment')
  t.strictSame(faults(withPlanted(), { variables: Object.keys(ConfigSchema.properties) }), ['src/plugins/config.ts: ConfigSchema has no PLANTED_TABLE'], 'its variable')
  t.strictSame(faults(withPlanted(template => { delete template.Resources['PlantedTable'] })), ['template.yaml: PLANTED_TABLE names no table under Globals.Function.Environment'], 'the table itself')
  t.strictSame(faults(withPlanted(template => { delete template.Resources['PlantedTable']!.Properties['StreamSpecification'] })), ['template.yaml: PlantedTable has an outbox and no stream'])
  t.strictSame(faults(withPlanted(template => { delete template.Resources['PlantedStreamMapping'] })), ['template.yaml: no AWS::Lambda::EventSourceMapping reads the stream of PlantedTable'])
  t.strictSame(faults(withPlanted(), { events: '' }), [`${EVENTS}: nothing follows user.deleted: erase there what PlantedTable holds of an account, or say under its Metadata.NoPersonalData in template.yaml why it holds nothing`], 'its follower of deletions')
  const impersonal = withPlanted(template => { template.Resources['PlantedTable']!.Metadata = { NoPersonalData: 'prices' } })
  t.strictSame(faults(impersonal, { events: '' }), [], 'a table that says why it has none')
  t.strictSame(faults(impersonal), ['template.yaml: PlantedTable says that it holds no personal data, and src/modules/planted erases some of it'])
  t.strictSame(faults(withPlanted(), { source: '', door: '' }), [`${REPOSITORY}: no call of DynamoDB was found in it, look at ACTIONS in test/template/tables.ts`])
})
