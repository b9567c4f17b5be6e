import t from 'tap'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { itemsOf } from './support.ts'

const engines = await startEngines(t)

t.test('the module has a tag in the documents, keeps its requests in its table, and gives one recipient domain twenty times what a client may ask for', async t => {
  const app = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '20' } })
  const { tags } = (await app.inject('/openapi/v2.json')).json<{ tags: object[] }>()
  t.match(tags.find(tag => (tag as { name: string }).name === 'auth'), { description: 'Codes, tokens, sessions' })
  const ask = async () => await app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email: 'ada@example.com' }, headers: { 'idempotency-key': 'a-key' } })
  const first = await ask()
  t.equal(first.statusCode, 202)
  t.equal((await ask()).body, first.body)
  const keys = (await itemsOf(app.dynamodb)).map(({ pk, sk }) => `${String(pk).split('#')[0]} ${sk}`)
  for (const key of ['idempotency idempotency', 'outbox outbox']) t.ok(keys.includes(key), key)

  const limited = await buildTestApp(t, engines, { env: { RATE_LIMIT_MAX: '1' } })
  const statuses: number[] = []
  for (let i = 0; i < 21; i++) {
    statuses.push(await limited.auth.requestCode({ email: `${newId()}@small.example`, network: 'x' }, 'x').then(() => 202, (error: { statusCode: number }) => error.statusCode))
  }
  t.same(statuses, [...Array<number>(20).fill(202), 429])
})
