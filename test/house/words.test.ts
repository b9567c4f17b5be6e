import { resolve } from 'node:path'
import t from 'tap'
import { copiedWords, readSources, wordsOf } from './words.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const modules = readSources(ROOT, 'src/modules/**/*.ts')
const others = readSources(ROOT, ['src/plugins/**/*.ts', 'src/shared/**/*.ts', 'src/lambda/**/*.ts', 'src/lambda.ts', 'src/server.ts'])

// Words that stand where they may, each with its reason.
const ALLOWED: [pattern: RegExp, reason: string][] = [
  [/^src\/plugins\/config\.ts: \w+, variable of \w+$/, 'the one schema of the environment'],
  [/^src\/plugins\/config\.ts: users, tag of users$/, 'an example of the name of a bus'],
  [/: (PUBLIC_URL|RATE_LIMIT_MAX), variable of \w+$/, 'what the whole service is configured by'],
  [/^src\/plugins\/jwt\.ts: ACCESS_TOKEN_TTL_SECONDS, variable of auth$/, 'it signs the tokens; the module only says how long they live'],
  [/^src\/plugins\/metrics\.ts: service, tag of health$/, 'the dimension of a metric'],
  [/^src\/server\.ts: health, decorator of health$/, 'the entry turns readiness red before it closes'],
  [/^src\/shared\/errors\.ts: 'AUTH_TOKEN_INVALID', error prefix of auth$/, 'what every protected route answers; clients know it by this code']
]

t.test('the words of each module were found', async t => {
  const words = wordsOf(modules)
  for (const [module, ...some] of [
    ['users', 'user.registered', 'USERS_EMAIL_TAKEN', 'UsersRegistered', 'USERS_TABLE', 'PENDING_VERIFICATION', '/v2/users', 'users'],
    ['auth', 'code.requested', 'AUTH_CODE_INVALID', 'SignIns', 'AUTH_TABLE', '/verify', 'auth'],
    ['email', 'WELCOME_EMAIL', 'EMAIL_MESSAGE_INVALID', 'MailsSent', 'EMAIL_TABLE', 'EMAIL_QUEUE_URL'],
    ['health', '/health/ready', 'service']
  ] as const) {
    for (const word of some) t.ok(words.some(found => found.module === module && found.word === word), `${word} of ${module}`)
  }
})

t.test('plugins, shared files and entries know no word of a module', async t => {
  t.ok(Object.keys(others).length > 30, `${Object.keys(others).length} files`)
  const found = copiedWords(modules, others)
  t.same(found.filter(fault => !ALLOWED.some(([pattern]) => pattern.test(fault))), [])
  for (const [pattern, reason] of ALLOWED) t.ok(found.some(fault => pattern.test(fault)), `still needed: ${reason}`)
})

const PLANTED: [line: string, fault: string][] = [
  ["if (entry.type === 'user.registered') return", 'user.registered, event type of users'],
  ["const mails = { 'code.requested': 1 }", 'code.requested, event type of auth'],
  ['// after a WELCOME_EMAIL', 'WELCOME_EMAIL, value of email'],
  ["user.status = 'SUSPENDED'", 'SUSPENDED, value of users'],
  ["createError('AUTH_CODE_INVALID', 'x', 401)", 'AUTH_CODE_INVALID, error code of auth'],
  ["createError('USERS_TOO_MANY', 'x', 409)", "'USERS_TOO_MANY', error prefix of users"],
  ["tags: ['users']", 'users, tag of users'],
  ["app.metrics.count('MailsSent')", 'MailsSent, metric of email'],
  ['const table = config.AUTH_TABLE', 'AUTH_TABLE, variable of auth'],
  ["if (url.startsWith('/v2/auth/tokens')) return", '/v2/auth/tokens, path of auth'],
  ['const user = await app.users.getFresh(id)', 'users, decorator of users']
]

for (const [line, fault] of PLANTED) {
  t.test(`the guard catches ${line}`, async t => {
    t.ok(copiedWords(modules, { 'src/plugins/planted.ts': line }).includes(`src/plugins/planted.ts: ${fault}`))
  })
}

t.test('the guard lets English pass', async t => {
  t.same(copiedWords(modules, { 'src/plugins/planted.ts': '// what users and services of a module need; an active one, by e-mail\nconst path = `/v2/${name}`' }), []) // eslint-disable-line no-template-curly-in-string -- a line of code
})
