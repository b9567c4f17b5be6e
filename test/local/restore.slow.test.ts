import { DescribeTableCommand, DescribeTimeToLiveCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { LOCAL_AWS } from '../../local/aws.ts'
import { createTables } from '../../local/dynamodb.ts'
import { readTemplate } from '../../local/template.ts'
import { command } from '../../scripts/restore.ts'
import { VERSION_GAP } from '../../scripts/restore/copy-users.ts'
import { inspectUsers } from '../../scripts/restore/inspect-users.ts'
import { readLedger } from '../../scripts/restore/ledger.ts'
import { claimItem, claimKey, erasedKey } from '../../src/modules/users/items.ts'
import { adminOf, bearerOf, codeIn, signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { startEventBus } from '../event-bus.ts'
import { startMoto } from '../moto.ts'
import { backUp, everyItem, runHere, runScript, tablesEnv } from '../operator.ts'
import { waiting } from '../outbox.ts'
import { pump } from '../pump.ts'
import { until } from '../until.ts'

const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: { ...bus.env, CACHE_TTL_SECONDS: '0' } })
const env = tablesEnv(engines)
const restore = async (...args: string[]) => await runHere(command, args, env)

const users = app.config.USERS_TABLE
const itemOf = async (userId: string) => (await app.dynamodb.send(new GetCommand({ TableName: users, Key: { userId }, ConsistentRead: true }))).Item
const lose = async (userId: string) => { await app.dynamodb.send(new DeleteCommand({ TableName: users, Key: { userId } })) }
const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, token: string, payload?: object) =>
  await app.inject({ method, url, headers: { authorization: `Bearer ${token}` }, ...(payload === undefined ? {} : { payload }) })
const faults = async () => Object.keys((await inspectUsers({ dynamodb: app.dynamodb, table: users, ledger: await readLedger(app.dynamodb, [{ kind: 'users', name: users }, { kind: 'auth', name: app.config.AUTH_TABLE }]) })).faults)

t.test('after a loss, what was lost is back, what is newer is kept, what was erased stays erased, and nothing is announced', async t => {
  // The state of the backup.
  const people: Record<string, Awaited<ReturnType<typeof signIn>>> = {}
  for (const name of ['lost', 'erased', 'renamed', 'moved', 'altered', 'broken', 'pawn']) people[name] = await signIn(app, engines, `${name}@example.com`, `Name ${name}`)
  const { lost, erased, renamed, moved, altered, broken, pawn } = people
  const admin = await adminOf(app)
  await app.dynamodb.send(new PutCommand({ TableName: users, Item: claimItem(`admin-${admin.userId}@example.net`, admin.userId, undefined) }))
  await app.users.update(admin, pawn!.user.id, { name: 'Looked At' }, 'x')
  await app.users.register({ email: 'waiting@example.com', name: 'Outbox Entry' }, 'x') // its entry waits while the backup is made
  const restored = await backUp(app.dynamodb, engines, users)
  t.ok((await everyItem(app.dynamodb, restored)).some(({ kind }) => kind === 'outbox'))
  await pump(app, engines)

  // What happens between the backup and the loss.
  t.equal((await call('DELETE', '/v2/users/me', erased!.accessToken)).statusCode, 204)
  t.equal((await call('PATCH', '/v2/users/me', renamed!.accessToken, { name: 'Newer Name' })).statusCode, 200)
  const change = (await call('POST', '/v2/users/me/email', moved!.accessToken, { email: 'moved-to@example.com' })).json<{ challengeId: string }>()
  await pump(app, engines)
  t.equal((await call('POST', '/v2/auth/tokens', moved!.accessToken, { grantType: 'code', challengeId: change.challengeId, code: codeIn(engines, 'moved-to@example.com') })).statusCode, 200)
  const registered = await signIn(app, engines, 'registered-later@example.com')
  // What an admin did within a second of the account's own time counts as the same change: two instances' clocks differ.
  const { updatedAt } = (await app.users.getFresh(pawn!.user.id))!
  await until(() => Date.now() > Date.parse(updatedAt) + 1000)
  await app.users.update(admin, pawn!.user.id, { status: 'SUSPENDED' }, 'x')
  await pump(app, engines)

  // The loss: accounts, claims, the set of admins, a marker; and items that were overwritten by hand.
  for (const id of [lost!.user.id, pawn!.user.id, admin.userId, 'admins', 'lists', erasedKey(erased!.user.id).userId, claimKey('renamed@example.com').userId, claimKey('moved-to@example.com').userId]) await lose(id)
  await app.dynamodb.send(new UpdateCommand({ TableName: users, Key: { userId: altered!.user.id }, UpdateExpression: 'SET #name = :x REMOVE #list', ExpressionAttributeNames: { '#name': 'name', '#list': 'list' }, ExpressionAttributeValues: { ':x': 'Overwritten' } }))
  await app.dynamodb.send(new PutCommand({ TableName: users, Item: { userId: broken!.user.id, kind: 'x' } }))
  t.equal((await call('GET', '/v2/users/me', lost!.accessToken)).statusCode, 401, 'the loss is felt')
  t.ok((await faults()).length >= 4, (await faults()).join(', '))

  const before = { mails: engines.mails.length, events: bus.events.length }
  const snapshot = await everyItem(app.dynamodb, users)
  const plan = await restore('plan', '--from', restored)
  t.equal(plan.code, 0, plan.stderr)
  for (const line of [/ 3 {2}accounts lost, copied back/, / 2 {2}accounts changed without a new version/, / 1 {2}accounts erased, left out/, / 2 {2}accounts changed since the backup, kept/, / [1-9]\d* {2}items left out: outbox/]) t.match(plan.stdout, line)
  t.notMatch(plan.stdout, /@|Name /, 'no address and no name')
  t.same(await everyItem(app.dynamodb, users), snapshot, 'a plan changes nothing')
  t.match(await restore('run', '--from', restored), { code: 2, stderr: /^Nothing was changed. .*--yes/ }, 'nor does a run that cannot ask')

  const run = await restore('run', '--from', restored, '--yes')
  // The suspension is in the audit lines, and was lost with the account: an operator decides.
  t.match(run, { code: 1, stdout: /FAULT: accounts without a later change by an admin/ })
  t.match(run.stdout, new RegExp(`${pawn!.user.id}`))
  await app.users.update(admin, pawn!.user.id, { status: 'SUSPENDED' }, 'x')
  t.match(await restore('verify'), { code: 0, stdout: /\d+ accounts verified against \d+ erasures: no fault/ })

  // Nothing newer is lost, nothing erased is back.
  t.match((await call('GET', '/v2/users/me', lost!.accessToken)).json(), { id: lost!.user.id, name: 'Name lost', email: 'lost@example.com', version: lost!.user.version + VERSION_GAP }, 'with its session, and newer than any version that was seen')
  t.equal((await call('PATCH', '/v2/users/me', lost!.accessToken, { name: 'Goes On' })).statusCode, 200)
  t.match((await call('GET', '/v2/users/me', renamed!.accessToken)).json(), { name: 'Newer Name', version: renamed!.user.version + 1 })
  t.equal((await app.users.findByEmail('renamed@example.com'))?.id, renamed!.user.id, 'its claim is back')
  t.match(await app.users.findByEmail('moved-to@example.com'), { id: moved!.user.id })
  t.equal((await itemOf(claimKey('moved@example.com').userId))?.['ownerId'], moved!.user.id, 'the former address stays claimed for a week')
  t.match(await app.users.getFresh(altered!.user.id), { name: 'Name altered' })
  t.match(await app.users.getFresh(broken!.user.id), { name: 'Name broken' })
  t.match(await app.users.findByEmail('registered-later@example.com'), { id: registered.user.id })
  t.equal(await app.users.getFresh(erased!.user.id), undefined)
  t.equal(await itemOf(claimKey('erased@example.com').userId), undefined)
  t.equal((await app.inject({ method: 'POST', url: '/v2/auth/tokens', payload: { grantType: 'refresh_token', refreshToken: erased!.refreshToken } })).statusCode, 401)
  t.same([...(await itemOf('admins'))!['ids'] as Set<string>], [admin.userId])
  const listed = (await app.inject({ url: '/v2/users?limit=100', headers: await bearerOf(app, admin.userId) })).json<{ items: { id: string }[] }>().items.map(({ id }) => id)
  for (const { user } of [lost!, altered!, broken!, moved!]) t.ok(listed.includes(user.id), 'it is in the list')

  // Nothing is mailed or announced again but what the operator and the user did.
  t.same((await waiting(app)).map(({ type }) => type).sort(), ['user.suspended', 'user.updated'])
  await pump(app, engines)
  t.equal(engines.mails.length, before.mails)
  t.same(bus.events.slice(before.events).map(({ type }) => type).sort(), ['user.suspended', 'user.updated'])

  const again = await restore('run', '--from', restored, '--yes')
  t.match(again, { code: 0, stdout: / 0 {2}accounts lost, copied back/ }, 'a second run has nothing to do')
})

t.test('a copy that does not know of the erasure brings the account back, and the verification says so', async t => {
  const { user, accessToken } = await signIn(app, engines, 'planted@example.com')
  const items = [await itemOf(user.id), await itemOf(claimKey('planted@example.com').userId)]
  t.equal((await call('DELETE', '/v2/users/me', accessToken)).statusCode, 204)
  await pump(app, engines)
  t.match(await restore('verify'), { code: 0 })
  for (const Item of items) await app.dynamodb.send(new PutCommand({ TableName: users, Item: Item! }))
  await lose(erasedKey(user.id).userId) // the marker in the table itself was lost with it
  t.match(await restore('verify'), { code: 1, stdout: new RegExp(`1 {2}FAULT: erased accounts that are back\\n +${user.id}`) })
  for (const item of items) await lose(String(item!['userId']))
})

t.test('an address that belongs to another account now is reported and not taken away', async t => {
  const first = await signIn(app, engines, 'contested@example.com')
  const second = await signIn(app, engines, 'stale@example.com')
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable-restored', Item: (await itemOf(first.user.id))! }))
  await app.dynamodb.send(new PutCommand({ TableName: 'UsersTable-restored', Item: (await itemOf(second.user.id))! }))
  for (const id of [first.user.id, claimKey('contested@example.com').userId, second.user.id]) await lose(id)
  const owner = await signIn(app, engines, 'contested@example.com')
  // A claim whose account is gone is no owner.
  await app.dynamodb.send(new PutCommand({ TableName: users, Item: claimItem('stale@example.com', crypto.randomUUID(), undefined) }))
  const run = await restore('run', '--from', 'UsersTable-restored', '--yes')
  t.match(run, { code: 1, stdout: new RegExp(`Not copied, .*: ${first.user.id}$`, 'm'), stderr: /^1 accounts were not copied$/m })
  t.equal((await app.users.findByEmail('contested@example.com'))?.id, owner.user.id)
  t.equal((await app.users.findByEmail('stale@example.com'))?.id, second.user.id)
})

t.test('of the auth table only the markers of erasures come back, and every record of a mail', async t => {
  const { user, accessToken } = await signIn(app, engines, 'auth-lost@example.com')
  const gone = await signIn(app, engines, 'auth-erased@example.com')
  t.equal((await call('DELETE', '/v2/users/me', gone.accessToken)).statusCode, 204)
  await pump(app, engines)
  const [auth, email] = [await backUp(app.dynamodb, engines, 'AuthTable'), await backUp(app.dynamodb, engines, 'EmailTable')]
  t.equal((await call('DELETE', '/v2/users/me/sessions', accessToken)).statusCode, 204)
  const mails = await everyItem(app.dynamodb, 'EmailTable')
  for (const { pk, sk } of await everyItem(app.dynamodb, 'AuthTable')) await app.dynamodb.send(new DeleteCommand({ TableName: 'AuthTable', Key: { pk, sk } }))
  for (const { messageId } of mails) await app.dynamodb.send(new DeleteCommand({ TableName: 'EmailTable', Key: { messageId } }))
  t.match(await restore('run', '--table', 'auth', '--from', auth, '--yes'), { code: 0, stdout: /items left out: session/ })
  t.same([...new Set((await everyItem(app.dynamodb, 'AuthTable')).map(({ kind }) => kind))], ['erased'])
  t.equal((await readLedger(app.dynamodb, [{ kind: 'auth', name: 'AuthTable' }])).has(gone.user.id), true)
  t.equal((await app.users.getFresh(user.id))?.id, user.id)
  t.match(await restore('run', '--table', 'email', '--from', email, '--yes'), { code: 0, stdout: new RegExp(` ${mails.length} {2}items copied`) })
  t.equal((await everyItem(app.dynamodb, 'EmailTable')).length, mails.length)
})

t.test('on moto: a backup is restored beside the live table, without its settings, and copied back', async t => {
  const moto = await startMoto(t)
  if (moto === undefined) return
  await createTables(moto.endpoint, readTemplate().tables)
  await moto.aws('dynamodb', 'update-continuous-backups', '--table-name', 'UsersTable', '--point-in-time-recovery-specification', 'PointInTimeRecoveryEnabled=true', '--region', LOCAL_AWS.region)
  const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient({ ...LOCAL_AWS, endpoint: moto.endpoint }))
  t.teardown(() => dynamodb.destroy())
  const { user } = await signIn(app, engines, 'on-moto@example.com')
  const items = [(await itemOf(user.id))!, (await itemOf(claimKey(user.email).userId))!]
  for (const Item of items) await dynamodb.send(new PutCommand({ TableName: 'UsersTable', Item }))
  const onMoto = async (...args: string[]) => await runHere(command, args, { ...env, AWS_ENDPOINT_URL_DYNAMODB: moto.endpoint })

  const created = await onMoto('create')
  t.equal(created.code, 0, created.stderr)
  const [, target] = /^(\S+) is ready/.exec(created.stdout)!
  t.match(target, /^UsersTable-restored-\d{8}T\d{6}Z$/)
  const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: target }))
  t.equal(Table!.GlobalSecondaryIndexes!.length, 3)
  t.notOk(Table!.StreamSpecification?.StreamEnabled)
  t.notOk(Table!.DeletionProtectionEnabled)
  t.equal((await dynamodb.send(new DescribeTimeToLiveCommand({ TableName: target }))).TimeToLiveDescription?.TimeToLiveStatus, 'DISABLED')

  for (const { userId } of items) await dynamodb.send(new DeleteCommand({ TableName: 'UsersTable', Key: { userId } }))
  t.match(await onMoto('run', '--from', target!, '--yes'), { code: 0, stdout: / 1 {2}accounts lost, copied back[\s\S]*1 accounts verified against 0 erasures: no fault/ })
  t.same((await everyItem(dynamodb, 'UsersTable')).map(({ userId }) => userId).sort(), [...items.map(({ userId }) => userId), 'lists'].sort())
})

t.test('a wrong call says in one line what is missing, and changes nothing', async t => {
  t.match(await runScript('restore', ['--help'], env), { code: 0, stdout: /^npm run restore -- create \| plan/ })
  for (const [args, message] of [
    [['plan'], /^--from is missing/],
    [['plan', '--from', users], /^--from is the live table itself\n$/],
    [['create', '--at', 'yesterday'], /^--at is no time/],
    [['verify', '--nonsense'], /^Unknown option/]
  ] as const) t.match(await restore(...args), { code: 2, stderr: message }, args.join(' '))
  t.match(await runHere(command, ['verify'], { ...env, USERS_TABLE: undefined }), { code: 2, stderr: /^--stack is missing/ })
  t.match(await restore('plan', '--from', 'no-such-table'), { code: 1, stderr: /^ResourceNotFoundException: [^\n]*\n$/ })
})
