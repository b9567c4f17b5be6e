import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { accessTokens } from '../../local/access-token.ts'
import { LOCAL_AWS } from '../../local/aws.ts'
import { until } from '../until.ts'
import { BUGS } from './bugs.ts'
import { duplicateMails, lostMails, stale, type Read } from './checks.ts'
import { startRig, type Rig, type RigOptions } from './system.ts'

// Each check finds nothing in the service, and finds the bug that is planted for it.

async function call (url: string, method: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }).catch(() => undefined)
  return { status: answer?.status ?? 0, body: await answer?.json().catch(() => undefined) as { data?: Record<string, string> } | undefined }
}

const registerV2 = async (rig: Rig, email: string) => (await call(`${rig.urls[0]}/v2/users`, 'POST', { email, name: 'Ada' })).status === 202

/** A user with an access token. */
async function makeUser (rig: Rig, email: string) {
  const { status, body } = await call(`${rig.urls[0]}/v1/users`, 'POST', { email, name: 'Ada' })
  if (status !== 201) throw new Error(`the registration of ${email} was answered with ${status}`)
  const id = body!.data!['userId']!
  const sign = accessTokens({ secret: rig.env['JWT_SECRET']!, issuer: 'user-service', audience: 'user-service' })
  return { id, path: `/v1/users/${id}`, headers: { authorization: `Bearer ${sign({ sub: id, email, sid: id, jti: id })}` } }
}

/** Waits until every message of the queue of mails is done. */
async function untilSent (rig: Rig): Promise<void> {
  const sqs = new SQSClient({ ...LOCAL_AWS, endpoint: rig.env['AWS_ENDPOINT_URL_SQS']! })
  try {
    await until(async () => {
      const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: rig.env['EMAIL_QUEUE_URL']!, AttributeNames: ['All'] }))
      return Number(Attributes['ApproximateNumberOfMessages']) + Number(Attributes['ApproximateNumberOfMessagesNotVisible']) === 0
    }, { timeoutMs: 30_000 })
  } finally {
    sqs.destroy()
  }
}

/** Registers one more address and waits for its mail: what came before it has been handled. */
async function settle (rig: Rig): Promise<void> {
  const email = `last-${crypto.randomUUID()}@example.com`
  await until(() => registerV2(rig, email), { timeoutMs: 30_000 })
  await until(() => rig.mails.some(({ to }) => to === email), { timeoutMs: 30_000 })
  await untilSent(rig)
}

/** Makes what a bug shows itself in, and counts how often it did. */
const SCENARIOS: Record<string, { options: RigOptions, count: (rig: Rig) => Promise<number> }> = {
  'lost write': {
    options: {},
    async count (rig) {
      await rig.dynamodb.stop('SIGKILL')
      const emails = Array.from({ length: 5 }, (_, i) => `lost-${i}@example.com`)
      const answers = await Promise.all(emails.map(email => registerV2(rig, email)))
      // What it still means to write is lost with it.
      await rig.instances[0]!.stop('SIGKILL')
      await rig.dynamodb.start()
      await rig.instances[0]!.start()
      await settle(rig)
      return lostMails(emails.filter((_, i) => answers[i]), rig.mails).length
    }
  },
  'send before commit': {
    options: { deliveries: 2 },
    async count (rig) {
      for (let i = 0; i < 10; i++) await until(() => registerV2(rig, `twice-${i}@example.com`))
      await until(() => lostMails(Array.from({ length: 10 }, (_, i) => `twice-${i}@example.com`), rig.mails).length === 0, { timeoutMs: 30_000 })
      await untilSent(rig)
      return duplicateMails(rig.mails).length
    }
  },
  'no owner check': {
    options: {},
    async count (rig) {
      const [ada, eve] = [await makeUser(rig, 'ada@example.com'), await makeUser(rig, 'eve@example.com')]
      const tries = await Promise.all([call(rig.urls[0] + ada.path, 'GET', undefined, eve.headers), call(rig.urls[0] + ada.path, 'PATCH', { name: 'Eve' }, eve.headers), call(rig.urls[0] + ada.path, 'DELETE', undefined, eve.headers)])
      return tries.filter(({ status }) => status < 400).length
    }
  },
  'cache without versions': {
    options: { instances: 2, redis: true },
    async count (rig) {
      // The line from the second instance to Redis is slow, so that what it has read arrives late.
      rig.redisLines[1]!.set({ delayMs: 15 })
      const reads: Read[] = []
      for (let round = 0; round < 40 && stale(reads).length === 0; round++) {
        const user = await makeUser(rig, `cached-${round}@example.com`)
        const late = call(rig.urls[1] + user.path, 'GET', undefined, user.headers)
        await sleep(round % 20 * 3)
        if ((await call(rig.urls[0] + user.path, 'PATCH', { name: 'Version 2' }, user.headers)).status !== 200) throw new Error('not changed')
        await late
        // Redis does the commands of a connection in order: with this read, what the second instance stored before it has arrived.
        await call(rig.urls[1] + user.path, 'GET', undefined, user.headers)
        const { body } = await call(rig.urls[0] + user.path, 'GET', undefined, user.headers)
        reads.push({ acknowledged: 2, seen: body?.data?.['name'] === 'Version 2' ? 2 : 1 })
      }
      return stale(reads).length
    }
  },
  'no look at the present': {
    options: {},
    async count (rig) {
      const email = 'deleted@example.com'
      const user = await makeUser(rig, email)
      await settle(rig)
      await rig.worker.stop('SIGKILL')
      // The engine would still hand messages to the receives of the killed worker.
      await rig.queues.stop('SIGKILL')
      await rig.queues.start()
      const before = rig.mails.length
      const asked = await call(`${rig.urls[0]}/v2/auth/challenges`, 'POST', { email })
      const deleted = await call(rig.urls[0] + user.path, 'DELETE', undefined, user.headers)
      if (asked.status !== 202 || deleted.status !== 204) throw new Error(`${asked.status}, ${deleted.status}`)
      await rig.worker.start()
      await settle(rig)
      return rig.mails.slice(before).filter(({ to }) => to === email).length
    }
  }
}

t.test('each bug has a scenario', async t => {
  t.strictSame(Object.keys(BUGS).map(name => name.split(':')[0]), Object.keys(SCENARIOS))
})

async function run (t: Test, name: string, planted?: string) {
  const { options, count } = SCENARIOS[name]!
  return await count(await startRig(t, { ...options, planted }))
}

for (const name of Object.keys(SCENARIOS)) {
  t.test(`${name}: the service has none`, async t => { t.equal(await run(t, name), 0) })
  t.test(`${name}: found where it was planted`, async t => {
    const found = await run(t, name, Object.keys(BUGS).find(bug => bug.startsWith(name)))
    t.comment(`${found} found`)
    t.ok(found > 0)
  })
}
