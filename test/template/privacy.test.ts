import { readFileSync } from 'node:fs'
import t from 'tap'
import { matches, type Pattern } from '../../local/filters.ts'
import { adminOf, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines, TABLES } from '../engines.ts'
import { startEventBus } from '../event-bus.ts'
import { pump } from '../pump.ts'
import { evaluate, loadTemplate, resourcesOf } from './evaluate.ts'

const template = evaluate(loadTemplate(), { LogArchive: 'true', EmailWorker: 'extracted' })
const properties = (id: string) => template.Resources[id]!.Properties
const page = readFileSync(new URL('../../docs/privacy.md', import.meta.url), 'utf8')

t.test('the archive of events keeps no event with a name or an address, and every deletion', async t => {
  const engines = await startEngines(t)
  const bus = await startEventBus(t)
  const app = await buildTestApp(t, engines, { env: bus.env })
  const { user } = await signIn(app, engines, 'archived@example.com', 'Archived Ada')
  await app.users.update({ userId: user.id }, user.id, { name: 'Archived King' }, 'x')
  await app.users.update(await adminOf(app), user.id, { status: 'SUSPENDED' }, 'x')
  await pump(app, engines)
  await app.users.remove(await adminOf(app), user.id, 'x')
  await pump(app, engines)

  const pattern = properties('EventArchive')['EventPattern'] as Pattern
  const archived = bus.events.filter(detail => matches([pattern], { source: 'user-service', 'detail-type': detail.type, detail }))
  t.same(archived.map(({ type }) => type), ['user.deleted'])
  t.ok(bus.events.length >= 5, bus.events.map(({ type }) => type).join(', '))
  t.notMatch(JSON.stringify(archived), /archived@example|Archived/)
})

t.test('the archive of logs gets the logs of functions, and no access log', async t => {
  const subscriptions = resourcesOf(template, 'AWS::Logs::SubscriptionFilter').map(([, { Properties }]) => (Properties['LogGroupName'] as { Ref: string }).Ref)
  t.same(subscriptions.sort(), ['ApiFunctionLogs', 'EmailFunctionLogs'])
  t.match(properties('Api')['AccessLogSetting'].DestinationArn, { 'Fn::GetAtt': ['ApiAccessLogs', 'Arn'] })
})

t.test('a deletion is remembered for longer than backups are kept', async t => {
  const BACKUP_DAYS = 35
  const [, days] = /ERASED_FOR = (\d+) \* 24 \* 3600/.exec(readFileSync(new URL('../../src/shared/erasure.ts', import.meta.url), 'utf8'))!
  t.ok(Number(days) > BACKUP_DAYS)
  t.ok(properties('EventArchive')['RetentionDays'] > BACKUP_DAYS)
  t.match(page, `${days} days`)
  t.match(page, `${properties('EventArchive')['RetentionDays']} days`)
})

t.test('docs/privacy.md names each table, queue and bucket, and the periods of the template', async t => {
  for (const table of TABLES) t.match(page, `| ${table} |`)
  for (const [id] of resourcesOf(template, 'AWS::SQS::Queue')) t.match(page, `\`${id}\``)
  t.match(page, '`UploadsBucket`')
  const days = (id: string, rule: string) => properties(id)['LifecycleConfiguration'].Rules.find(({ Id }: { Id: string }) => Id === rule).ExpirationInDays as number
  t.match(page, `with \`LogArchive\`, ${days('LogArchiveBucket', 'archive')} days in S3`)
  t.match(page, new RegExp(`access log of \`UploadsBucket\`.*\\| ${days('LogArchiveBucket', 'access')} days \\|`))
  for (const [id, { Properties }] of resourcesOf(template, 'AWS::SQS::Queue')) t.equal(Properties['MessageRetentionPeriod'], 14 * 24 * 3600, id)
})

t.test('each table expires what is old by the attribute that readers check', async t => {
  for (const table of TABLES) t.same(properties(table)['TimeToLiveSpecification'], { AttributeName: 'expiresAt', Enabled: true }, table)
})
