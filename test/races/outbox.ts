import fc from 'fast-check'
import { nameless } from '../../src/shared/erasure.ts'
import { accountsIn } from './model.ts'
import { demand, type Race } from './search.ts'
import { unconditional, type World } from './world.ts'

const [ADA, BEN] = ['ada@example.com', 'ben@example.com']

type Step = 'stream' | 'sweep' | 'delete ada' | 'ask for a code'
interface Sent { messageId: string, userId: string, challengeId: string, email: string }

/**
 * stream ∥ sweep: entries that wait, relayed by both at once, while an account that they are about is deleted and entries are
 * added.
 */
export async function createOutboxRace (world: World): Promise<Race<{ steps: Step[] }>> {
  const [app] = world.apps
  await world.signIn(BEN)
  const known = world.tables.log.length
  const ada = await app.users.register({ email: ADA, name: 'Ada' }, 'race')
  await app.auth.requestCode({ email: BEN, network: '192.0.2.1' }, 'race')
  await app.auth.requestCode({ email: ADA, registration: { name: 'Another' }, network: '192.0.2.1' }, 'race')
  const entries = world.waiting()
  const records = ['UsersTable', 'AuthTable'].map(table => world.streamOf(table, known))
  const asItWas = world.tables.itemsOf('UsersTable').find(({ userId }) => userId === ada.id)
  const begin = world.snapshot()

  return {
    name: 'outbox',
    scenario: fc.array(fc.constantFrom<Step>('stream', 'sweep', 'delete ada', 'ask for a code'), { maxLength: 2 }).map(more => ({ steps: ['stream', 'sweep', ...more] })),
    plants: {
      'an entry is removed before it is handled': (command, { TableName, Key }) => {
        const [id] = Object.values(Key ?? {})
        if (command !== 'GetCommand' || !String(id).startsWith('outbox#')) return undefined
        const answer = world.tables.execute({ input: { TableName, Key, ConsistentRead: true }, constructor: { name: 'GetCommand' } })
        world.tables.execute({ input: { TableName, Key }, constructor: { name: 'DeleteCommand' } })
        return answer
      },
      'the account is not looked at again': (command, { Key }) => command === 'GetCommand' && Key.userId === ada.id ? { Item: asItWas } : undefined,
      'a deletion spends the codes of the next account': unconditional(({ UpdateExpression = '' }) => UpdateExpression.startsWith('SET usedBy = :erasure'))
    },

    async play ({ steps }, { together }) {
      begin()
      const sentBefore = world.queue.length
      const messages = () => world.queue.slice(sentBefore).map(({ body }) => JSON.parse(body) as Sent)
      let deletedAt = Infinity
      let isLate = false

      /** Looks at each entry that is gone: its mail was queued, or there is no account any more. */
      function look (step: number): void {
        if (!accountsIn(world.tables.itemsOf('UsersTable'), world.now()).some(({ id }) => id === ada.id)) deletedAt = Math.min(deletedAt, step)
        demand(!isLate, () => 'a mail to an account that was deleted before its entry was handled')
        const waiting = new Set(world.waiting().map(({ eventId }) => eventId))
        const mailed = new Set<unknown>(messages().map(({ messageId }) => messageId))
        for (const { eventId, type, subject } of entries) {
          if (waiting.has(eventId) || mailed.has(eventId)) continue
          demand(deletedAt !== Infinity && (subject === ada.id || subject === ADA), () => `an entry ${String(type)} is gone, and its mail was never queued`)
        }
      }

      const actors = await together((schedule) => {
        /** when an actor last asked whether an entry waits: from then on it handles it */
        const begun = new Map<string, number>()
        world.hooks.onCall = (command, input) => {
          const by = schedule.released?.name
          const [, entry] = /^outbox#(.*)/.exec(String(Object.values((input as { Key?: object }).Key ?? {})[0])) ?? []
          if (command === 'GetCommand' && entry !== undefined) begun.set(`${by} ${entry}`, schedule.step)
          if (command !== 'SendMessageCommand') return
          const { messageId, userId } = JSON.parse((input as { MessageBody: string }).MessageBody) as Sent
          isLate ||= userId === ada.id && begun.get(`${by} ${messageId}`)! > deletedAt
        }
        steps.forEach((step, i) => {
          const at = world.apps[i % 2]!
          const name = `${step} ${i}`
          if (step === 'stream') {
            schedule.add(name, async () => {
              const batches = ['UsersTable', 'AuthTable'].map((table, n) => [...records[n]!, ...world.streamOf(table)])
              await Promise.all(batches.map(batch => world.deliver(at, batch)))
            })
          } else if (step === 'sweep') schedule.add(name, () => world.sweep(at))
          else if (step === 'delete ada') schedule.add(name, () => at.users.remove({ userId: ada.id }, ada.id, 'race'))
          else schedule.add(name, () => at.auth.requestCode({ email: BEN, network: `192.0.2.${i}` }, 'race'))
        })
      }, look)
      world.hooks.onCall = () => {}

      // A stream or a sweep that fails is repeated; the rest fails only when another transaction stood in its way, or the account is gone.
      for (const { name, state, error } of actors) {
        if (state !== 'rejected' || /^(stream|sweep)/.test(name)) continue
        demand(error!.name === 'TransactionCanceledException' || (name.startsWith('delete') && deletedAt !== Infinity), () => `${name} failed: ${error!.message}`)
      }

      await world.drain()
      look(Infinity)
      const bodies = new Map<string, string>()
      for (const message of messages()) {
        // The worker sends one of them. An account that is deleted meanwhile is another one in the second.
        const text = `${message.challengeId} ${message.email}`
        demand((bodies.get(message.messageId) ?? text) === text, () => 'two mails with different codes or addresses follow from one entry')
        bodies.set(message.messageId, text)
      }
      // A code that is mailed to an account must be good, also where the address had another account until now.
      const accounts = new Set(accountsIn(world.tables.itemsOf('UsersTable'), world.now()).map(({ id }) => id))
      for (const { userId, challengeId } of messages()) {
        const challenge = world.tables.itemsOf('AuthTable').find(({ pk }) => pk === `challenge#${challengeId}`)
        if (accounts.has(userId)) demand(challenge?.['userId'] === userId, () => 'a code was mailed that is no longer good')
      }
      if (deletedAt === Infinity) return
      const left = [...world.tables.itemsOf('UsersTable'), ...world.tables.itemsOf('AuthTable')].filter(item => item['userId'] === ada.id || item['ownerId'] === ada.id || item['pk'] === `user#${ada.id}`)
      demand(left.length === 0, () => `of a deleted account is left: ${left.map(({ pk, sk, userId }) => [pk, sk, userId].join(' ')).join(', ')}`)
      demand(world.tables.itemsOf('AuthTable').some(({ pk }) => pk === `erased#${nameless(ada.id)}`), () => 'the erasure is not noted beside the codes')
    }
  }
}
