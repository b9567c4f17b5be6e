import t from 'tap'
import { ConfigSchema } from '../../src/plugins/config.ts'
import { evaluate, loadTemplate, resourcesOf, type Template } from './evaluate.ts'
import { callsOf, readRepository, tableFaults } from './tables.ts'

t.test('each table is in the environment and in the configuration, and the function may do what its repository does', async t => {
  const template = evaluate(loadTemplate())
  t.ok(resourcesOf(template, 'AWS::DynamoDB::Table').length >= 3)
  t.strictSame(tableFaults(template), [])
})

t.test('what repositories call is seen', async t => {
  t.strictSame(callsOf('new GetCommand({'), { actions: ['GetItem'], hasOutbox: false })
  t.strictSame(callsOf('outbox.write(entry)\nnew TransactWriteCommand({ TransactItems: [{ Put: x }, { Update: { } }, { ConditionCheck: { } }] })'), {
    actions: ['ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'UpdateItem'],
    hasOutbox: true
  })
})

const VARIABLES = [...Object.keys(ConfigSchema.properties), 'ORDERS_TABLE']
const REPOSITORY = 'src/modules/orders/repository.ts'

/** The template with a table `orders`, complete but for what a test leaves out. */
function withOrders (change: (template: Template, statements: Record<string, unknown>[]) => void = () => {}): Template {
  const template = loadTemplate()
  template.Resources['OrdersTable'] = structuredClone(template.Resources['UsersTable']!)
  template.Resources['OrdersStreamMapping'] = structuredClone(template.Resources['UsersStreamMapping']!)
  template.Resources['OrdersStreamMapping'].Properties['EventSourceArn'] = { 'Fn::GetAtt': ['OrdersTable', 'StreamArn'] }
  template.Globals!['Function'].Environment.Variables.ORDERS_TABLE = { Ref: 'OrdersTable' }
  const statements = template.Resources['ApiFunctionRole']!.Properties['Policies'][0].PolicyDocument.Statement as Record<string, unknown>[]
  statements.push(
    { Sid: 'Orders', Effect: 'Allow', Action: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:DeleteItem'], Resource: { 'Fn::GetAtt': ['OrdersTable', 'Arn'] } },
    { Sid: 'OrdersOutbox', Effect: 'Allow', Action: 'dynamodb:Query', Resource: { 'Fn::Sub': '${OrdersTable.Arn}/index/outbox' } }, // eslint-disable-line no-template-curly-in-string -- CloudFormation's
    { Sid: 'OrdersStream', Effect: 'Allow', Action: 'dynamodb:GetRecords', Resource: { 'Fn::GetAtt': ['OrdersTable', 'StreamArn'] } }
  )
  change(template, statements)
  return evaluate(template)
}

const faults = (template: Template, { variables = VARIABLES, source = 'outbox.write(x)\nnew GetCommand(x)' } = {}) =>
  tableFaults(template, variables, file => file === REPOSITORY ? source : readRepository(file))
const without = (sid: string) => withOrders((_, statements) => { statements.splice(statements.findIndex(statement => statement['Sid'] === sid), 1) })

t.test('a new table that is complete has no fault, and one without …', async t => {
  t.strictSame(faults(withOrders()), [])

  t.strictSame(faults(without('Orders')), ['DeleteItem', 'GetItem', 'PutItem'].map(action =>
    `template.yaml: ApiFunctionRole does not allow dynamodb:${action} on OrdersTable, which ${REPOSITORY} calls`), 'its IAM statement')
  t.strictSame(faults(withOrders(), { source: 'outbox.write(x)\nnew UpdateCommand(x)' }), [
    `template.yaml: ApiFunctionRole does not allow dynamodb:UpdateItem on OrdersTable, which ${REPOSITORY} calls`], 'one action')
  t.strictSame(faults(without('OrdersOutbox')), ['template.yaml: ApiFunctionRole does not allow dynamodb:Query on the outbox index of OrdersTable'])
  t.strictSame(faults(without('OrdersStream')), ['template.yaml: ApiFunctionRole may not read the stream of OrdersTable'])

  t.strictSame(faults(withOrders(template => { delete template.Globals!['Function'].Environment.Variables.ORDERS_TABLE })), [
    'template.yaml: ORDERS_TABLE names no table under Globals.Function.Environment',
    'template.yaml: no variable under Globals.Function.Environment is !Ref OrdersTable'
  ], 'its name in the environment')
  t.strictSame(faults(withOrders(), { variables: Object.keys(ConfigSchema.properties) }), ['src/plugins/config.ts: ConfigSchema has no ORDERS_TABLE'], 'its variable')
  t.strictSame(faults(withOrders(template => { delete template.Resources['OrdersTable'] })), ['template.yaml: ORDERS_TABLE names no table under Globals.Function.Environment'], 'the table itself')
  t.strictSame(faults(withOrders(template => { delete template.Resources['OrdersTable']!.Properties['StreamSpecification'] })), ['template.yaml: OrdersTable has an outbox and no stream'])
  t.strictSame(faults(withOrders(template => { delete template.Resources['OrdersStreamMapping'] })), ['template.yaml: no AWS::Lambda::EventSourceMapping reads the stream of OrdersTable'])
  t.strictSame(faults(withOrders(), { source: '' }), [`${REPOSITORY}: no call of DynamoDB was found in it, look at ACTIONS in test/template/tables.ts`])
})
