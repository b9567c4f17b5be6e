import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { sessionsIn } from './model.ts'
import type { Actor } from './schedule.ts'
import { demand, type Race } from './search.ts'
import { unconditional, type World } from './world.ts'

type End = 'revoke' | 'sign out everywhere' | 'none'

/**
 * refresh ∥ refresh ∥ revoke: clients that hold the same refresh token and go on with what they get, while the session is ended
 * or is not.
 */
export async function createSessionsRace (world: World): Promise<Race<{ clients: number[], ends: End[] }>> {
  const { refreshToken: first, user } = await world.signIn('ada@example.com')
  const begin = world.snapshot()
  const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
  const live = () => sessionsIn(world.tables.itemsOf('AuthTable'), user.id, world.now())
  const [{ sk }] = live() as [{ sk: string }]
  const caller = { userId: user.id, sid: sk.slice('session#'.length), email: user.email }

  return {
    name: 'sessions',
    // Each client uses its token once to three times. Together fewer than a session remembers.
    scenario: fc.record({ clients: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 3 }), ends: fc.array(fc.constantFrom('none', 'revoke', 'sign out everywhere'), { maxLength: 2 }) }),
    plants: {
      'a token is replaced without a condition': unconditional(({ UpdateExpression = '' }) => UpdateExpression.includes('currentHash = :next')),
      'a token is replaced whichever is the current one': (_command, input) => {
        if (input['UpdateExpression']?.includes('currentHash = :next') === true) input['ConditionExpression'] = 'expiresAt > :now'
      },
      'the tokens before are not remembered': (_command, { UpdateExpression = '', ExpressionAttributeValues }) => {
        if (UpdateExpression.includes('currentHash = :next')) ExpressionAttributeValues[':retired'] = []
      },
      'a session is not deleted': (command, { Key }) => command === 'DeleteCommand' && Key.sk?.startsWith('session#') === true ? {} : undefined
    },

    async play ({ clients, ends }, { together }) {
      begin()
      const given: string[] = [first]
      /** the step after which the session has ended for good */
      let ended = Infinity

      const actors = await together(({ add }) => {
        clients.forEach((uses, i) => {
          const { auth } = world.apps[i % 2]!
          // A client's requests follow each other. One without an answer is sent again with the same token.
          let token = first
          let before: Actor | undefined
          for (let use = 1; use <= uses; use++) {
            before = add(`client ${i}, use ${use}`, async () => {
              const tokens = await auth.createTokens({ grantType: 'refresh_token', refreshToken: token }, 'race')
              given.push(token = tokens.refreshToken)
            }, before)
          }
        })
        ends.forEach((end, i) => {
          const { auth } = world.apps[i % 2]!
          if (end !== 'none') add(end, () => end === 'revoke' ? auth.revoke(first) : auth.endSessions(caller, 'race'))
        })
      }, (step, actor) => {
        if (!actor.name.startsWith('client') && actor.state === 'fulfilled') ended = Math.min(ended, actor.end)
        if (step > ended) demand(live().length === 0, () => 'a session is live after its end was acknowledged')
      })
      const isEnder = ({ name }: { name: string }) => !name.startsWith('client')
      const mayHaveEnded = actors.some(actor => isEnder(actor) && actor.state !== 'running')

      for (const { name, state, error, start } of actors.filter(actor => !isEnder(actor))) {
        if (state === 'fulfilled') demand(start <= ended, () => `${name} began after the end of the session and got a token`)
        // A conflict that never ends is answered with 503, and the client tries again.
        if (state === 'rejected') demand((error!.code === 'AUTH_REFRESH_TOKEN_INVALID' && mayHaveEnded) || error!.name === 'TransactionCanceledException', () => `${name} failed: ${error!.code ?? error!.message}`)
      }
      // Signing out everywhere needs a session that has not ended: another request has ended it, acknowledged or not.
      for (const { name, error, position } of actors.filter(actor => isEnder(actor) && actor.state === 'rejected')) {
        const isEndedByAnother = actors.some(other => isEnder(other) && other.position !== position)
        demand(error!.name === 'TransactionCanceledException' || error!.statusCode === 503 || (error!.statusCode === 401 && isEndedByAnother), () => `${name} failed: ${error!.message}`)
      }

      // One lineage: each token that was given has been the session's current one.
      const current = new Set(world.tables.log.map(({ after }) => after?.['currentHash']))
      for (const token of given.slice(1)) demand(current.has(hashOf(token)), () => 'a token was given that the session never had')

      const [app] = world.apps
      const now: (string | undefined)[] = []
      for (const token of new Set(given)) now.push(await app.auth.createTokens({ grantType: 'refresh_token', refreshToken: token }, 'race').then(({ refreshToken }) => refreshToken, () => undefined))
      if (ended !== Infinity) {
        demand(live().length === 0, () => 'a session is live after its end')
        demand(now.every(token => token === undefined), () => 'a token is good after the end of its session')
      } else if (!mayHaveEnded) {
        demand(live().length === 1, () => `${live().length} sessions`)
        demand(now.every(token => token !== undefined), () => 'a client that has done no wrong is signed out')
        demand(hashOf(now.at(-1)!) === live()[0]!['currentHash'], () => 'the lineage has two ends')
      }
    }
  }
}
