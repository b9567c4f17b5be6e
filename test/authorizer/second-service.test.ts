import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { createTables } from '../../local/dynamodb.ts'
import { matches, type Pattern } from '../../local/filters.ts'
import { parseTemplate, type TableDefinition } from '../../local/template.ts'
import { createAuthorizer } from '../../src/authorizer/answers.ts'
import { createJwks } from '../../src/authorizer/jwks.ts'
import { createTokenVerifier } from '../../src/authorizer/verifier.ts'
import { signIn } from '../accounts.ts'
import { buildTestApp } from '../app.ts'
import { startEngines } from '../engines.ts'
import { startEventBus } from '../event-bus.ts'
import { pump } from '../pump.ts'
import { httpApiEvent, requestEvent, tokenEvent } from './support.ts'

const FOLDER = join(import.meta.dirname, '../../examples/second-service')
const template = parseTemplate(readFileSync(join(FOLDER, 'template.yaml'), 'utf8'))
const { createHandler } = await import(join(FOLDER, 'src/notes.mjs')) as { createHandler: (options: object) => (event: object) => Promise<{ statusCode: number, body: string }> }

// The user service itself, over its socket, and the second service on the same engine.
const engines = await startEngines(t)
const bus = await startEventBus(t)
const app = await buildTestApp(t, engines, { env: bus.env })
await app.listen({ port: 0, host: '127.0.0.1' })
const authorize = createAuthorizer(createTokenVerifier({
  keys: createJwks(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/.well-known/jwks.json`),
  issuer: app.config.JWT_ISSUER,
  audience: app.config.JWT_AUDIENCE
}))
await createTables(engines.dynamodbEndpoint, { NotesTable: template.Resources['NotesTable']!.Properties as unknown as TableDefinition })
const notes = createHandler({ dynamodb: app.dynamodb, table: 'NotesTable' })

interface Call { method: 'GET' | 'POST', token: string, text?: string }

/** What each kind of API does with a request: asks the authorizer, and calls the service with what that says. */
const GATEWAYS = {
  async 'REST API, TOKEN' ({ method, token, text }: Call) {
    const { principalId, context } = await authorize(tokenEvent(`Bearer ${token}`)) as { principalId: string, context: object }
    return await notes({ httpMethod: method, path: '/notes', body: text === undefined ? null : JSON.stringify({ text }), isBase64Encoded: false, requestContext: { authorizer: { principalId, ...context, integrationLatency: 1 } } })
  },
  async 'REST API, REQUEST' ({ method, token, text }: Call) {
    const { principalId, context } = await authorize(requestEvent(`Bearer ${token}`)) as { principalId: string, context: object }
    return await notes({ httpMethod: method, path: '/notes', body: text === undefined ? null : JSON.stringify({ text }), isBase64Encoded: false, requestContext: { authorizer: { principalId, ...context, integrationLatency: 1 } } })
  },
  async 'HTTP API' ({ method, token, text }: Call) {
    const answer = await authorize(httpApiEvent(`Bearer ${token}`)) as { isAuthorized: boolean, context: object }
    if (!answer.isAuthorized) throw new Error('Forbidden')
    return await notes({ version: '2.0', rawPath: '/notes', body: text === undefined ? undefined : Buffer.from(JSON.stringify({ text })).toString('base64'), isBase64Encoded: true, requestContext: { http: { method }, authorizer: { lambda: answer.context } } })
  }
}
const items = ({ body }: { body: string }) => (JSON.parse(body) as { items: { text: string }[] }).items.map(({ text }) => text).sort()

t.test('behind each kind of API, users see their own notes with a token of the user service', async t => {
  const [ada, bob] = [await signIn(app, engines, 'ada@example.com'), await signIn(app, engines, 'bob@example.com')]
  for (const [kind, call] of Object.entries(GATEWAYS)) {
    t.equal((await call({ method: 'POST', token: ada.accessToken, text: kind })).statusCode, 201, kind)
    t.equal((await call({ method: 'POST', token: ada.accessToken, text: '' })).statusCode, 400, kind)
  }
  for (const [kind, call] of Object.entries(GATEWAYS)) {
    t.same(items(await call({ method: 'GET', token: ada.accessToken })), Object.keys(GATEWAYS).sort(), kind)
    t.same(items(await call({ method: 'GET', token: bob.accessToken })), [], kind)
    await t.rejects(call({ method: 'GET', token: `${ada.accessToken}x` }), { message: /Unauthorized|Forbidden/ }, kind)
  }
})

t.test('what it keeps of a user ends with the account', async t => {
  const { accessToken, user } = await signIn(app, engines, 'leaving@example.com')
  const stays = await signIn(app, engines, 'staying@example.com')
  for (let i = 0; i < 30; i++) await GATEWAYS['HTTP API']({ method: 'POST', token: accessToken, text: `note ${i}` })
  await GATEWAYS['HTTP API']({ method: 'POST', token: stays.accessToken, text: 'stays' })
  await app.users.remove({ userId: user.id }, user.id, 'x')
  await pump(app, engines)

  const { Pattern: pattern } = (template.Resources['NotesFunction']!.Properties!['Events'] as { Deleted: { Properties: { Pattern: Pattern } } }).Deleted.Properties
  const sent = bus.eventsOf(user.id).map(detail => ({ source: app.config.SERVICE_NAME, 'detail-type': detail.type, detail })).filter(event => matches([pattern], event))
  t.same(sent.map(event => event['detail-type']), ['user.deleted'], 'the rule lets one event through')
  for (const event of [...sent, ...sent]) await notes(event)
  t.same(items(await GATEWAYS['HTTP API']({ method: 'GET', token: accessToken })), [], 'a token that has not ended yet shows nothing')
  t.same(items(await GATEWAYS['HTTP API']({ method: 'GET', token: stays.accessToken })), ['stays'])
  await t.rejects(notes({ source: 'user-service', 'detail-type': 'user.updated', detail: {} }), { message: 'An event that no rule sends' })
})

t.test('its template asks the authorizer in the forms that it answers, and keeps answers for a minute at most', async t => {
  const users = (id: string) => (template.Resources[id]!.Properties!['Auth'] as { Authorizers: { Users: Record<string, unknown> } }).Authorizers.Users
  const exported = { 'Fn::ImportValue': { 'Fn::Sub': '${UserService}-authorizer' } } // eslint-disable-line no-template-curly-in-string -- CloudFormation's
  t.match(users('RestApi'), { FunctionArn: exported, FunctionPayloadType: 'TOKEN', Identity: { Header: 'Authorization', ReauthorizeEvery: 60 } })
  t.match(users('HttpApi'), { FunctionArn: exported, AuthorizerPayloadFormatVersion: '2.0', EnableSimpleResponses: true, Identity: { Headers: ['Authorization'], ReauthorizeEvery: 60 } })
})
