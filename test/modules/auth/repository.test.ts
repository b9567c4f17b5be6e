import { PutCommand } from '@aws-sdk/lib-dynamodb'
import t from 'tap'
import { newChallenge } from '../../../src/modules/auth/codes.ts'
import { newId } from '../../../src/shared/ids.ts'
import { buildTestApp } from '../../app.ts'
import { startEngines } from '../../engines.ts'
import { recordCalls } from '../../faults.ts'
import { itemAt, repositoryAt, TABLE } from './support.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
/** in seconds since the epoch */
const AT = 1795348800
const LIMITS = { address: [{ window: 60_000, max: 1 }], network: [], site: [] }

const engines = await startEngines(t)
const app = await buildTestApp(t, engines)
const repository = repositoryAt(app, { now: NOW })

t.test('a challenge that opens removes what is too old among the counts of its address, if it was counted', async t => {
  const [address, userId] = [newId(), newId()]
  const key = { pk: `codes#${address}`, sk: 'all' }
  const codes = ['2026-11-22T11:59:30.000Z c2', '2026-11-22T11:58:30.000Z c1']
  await app.dynamodb.send(new PutCommand({ TableName: TABLE, Item: { ...key, codes } }))
  const open = async (count?: Parameters<typeof repository.openChallenge>[1]) => {
    const challengeId = newId()
    const calls = recordCalls(app)
    t.equal(await repository.openChallenge({ challengeId, userId, address: 'an address', expiresAt: AT + 60 }, count), true)
    const made = calls.stop()
    return { challengeId, made, codes: (await itemAt(app.dynamodb, key.pk, 'all'))?.['codes'], isNoted: await itemAt(app.dynamodb, key.pk, `challenge#${challengeId}`) !== undefined }
  }
  t.match(await open(), { made: ['PutItemCommand'], codes, isNoted: false })
  t.match(await open({ address, limits: LIMITS }), { made: ['PutItemCommand', 'GetItemCommand', 'UpdateItemCommand'], codes: codes.slice(0, 1), isNoted: false })
  t.match(await open({ address, limits: LIMITS, isUncounted: true }), { made: ['PutItemCommand', 'PutItemCommand', 'GetItemCommand'], isNoted: true })
})

t.test('what was counted under another id is noted before its challenge is opened: an erasure finds both', async t => {
  const [address, userId, challengeId] = [newId(), newId(), newId()]
  await repository.openChallenge({ challengeId, userId, address: 'an address', expiresAt: AT + 60 }, { address, limits: LIMITS, isUncounted: true })
  const forgotten = { userId, address: ['an address'], mailbox: [address], at: NOW.toISOString(), nextOwner: async () => undefined }
  t.equal(await repository.isSpent(challengeId), false)
  await repository.forgetCodes(forgotten)
  t.equal(await itemAt(app.dynamodb, `challenge#${challengeId}`, 'challenge'), undefined)
  t.same(await repository.codesOf([address], userId), [])
})

t.test('a code is good for ten minutes from the moment it was requested', async t => {
  t.same(newChallenge(NOW, 'c1'), { challengeId: 'c1', expiresAt: '2026-11-22T12:10:00.000Z' })
  t.not(newChallenge(NOW).challengeId, newChallenge(NOW).challengeId)
})
