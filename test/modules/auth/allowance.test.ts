import t from 'tap'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp, pump, signIn, startEngines } from '../../helper.ts'
import { counted, itemsOf, serviceAt } from './support.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)

let n = 0
const newAddress = () => `person-${++n}@example.com`

t.test('an address gets five mails in any hour and ten in any day', async (t) => {
  const email = newAddress()
  const start = Date.now()
  const clock = { now: new Date(start) }
  const service = serviceAt(app, clock)
  const allowed: number[] = []
  // Asked every ten minutes, for three days.
  for (let minutes = 0; minutes < 3 * 24 * 60; minutes += 10) {
    clock.now = new Date(start + minutes * MINUTE)
    if (await service.allowMail(email, newId())) allowed.push(clock.now.getTime())
  }
  const most = (window: number) => Math.max(...allowed.map(at => allowed.filter(other => other >= at && other < at + window).length))
  t.equal(most(HOUR), 5)
  t.equal(most(24 * HOUR), 10)
  t.equal(allowed.length, 30, 'and not fewer than that')
})

t.test('a mail that is asked about again is not counted again', async (t) => {
  const email = newAddress()
  const eventId = newId()
  for (let i = 0; i < 20; i++) t.equal(await app.auth.allowMail(email, eventId), true)
  for (let i = 0; i < 4; i++) t.equal(await app.auth.allowMail(email, newId()), true)
  t.equal(await app.auth.allowMail(email, newId()), false)
  t.equal(await app.auth.allowMail(email, eventId), true, 'also when the address has had its share')
  t.equal(await app.auth.allowMail(newAddress(), newId()), true, 'which is nobody else\'s')
})

t.test('of 100 at once, over two instances, five are let through', async (t) => {
  const other = await buildTestApp(t, engines)
  const email = newAddress()
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? app : other).auth.allowMail(email, newId())))
  t.equal(answers.filter(Boolean).length, 5)
})

t.test('who counts mails does not know to whom they went', async (t) => {
  const email = newAddress()
  await app.auth.allowMail(email, newId())
  t.notOk(JSON.stringify(await itemsOf(app.dynamodb)).includes(email))
})

t.test('forty requests for one victim are five mails', async (t) => {
  const email = newAddress()
  await signIn(app, engines, email)
  const before = engines.mails.length
  await Promise.all(Array.from({ length: 40 }, () => app.inject({ method: 'POST', url: '/v2/auth/challenges', payload: { email } })))
  await pump(app, engines)
  t.equal(engines.mails.length - before, 4, 'one of the hour\'s five was the welcome')
  t.equal(counted(app, 'MailsSuppressed'), 36)
})
