import fc from 'fast-check'
import type { Tokens } from '../../src/modules/auth/contract.ts'
import { nameless } from '../../src/shared/erasure.ts'
import { newId } from '../../src/shared/ids.ts'
import type { Item } from './expressions.ts'
import { accountFault, accountsIn, claimsIn } from './model.ts'
import type { Actor } from './schedule.ts'
import { demand, type Race } from './search.ts'
import { unconditional, writesOf, type World } from './world.ts'

const [ADA, BEN] = ['ada@example.com', 'ben@example.com']
const [WANTED, OTHER] = ['wanted@example.com', 'other@example.com']

type Step = 'ada → wanted' | 'ada → other' | 'ben → wanted' | 'delete ada' | 'register wanted' | 'confirm wanted'

/**
 * e-mail change ∥ e-mail change ∥ delete: two accounts and one address that both may want, which an account that was never confirmed has
 * claimed; the end of one of them; and the confirmation of that third account.
 */
export async function createEmailChangeRace (world: World): Promise<Race<{ steps: Step[] }>> {
  const [app] = world.apps
  const [ada, ben] = [await world.signIn(ADA), await world.signIn(BEN)]
  const callerOf = ({ user, accessToken }: Tokens) => {
    const { payload: { sid } } = app.jwt.decode<{ payload: { sid: string } }>(accessToken)!
    return { userId: user.id, email: user.email, sid }
  }
  const [adaCaller, benCaller] = [callerOf(ada), callerOf(ben)]
  const ticketOf = async (ask: () => Promise<{ challengeId: string }>) => {
    const { challengeId } = await ask()
    await world.drain()
    return { challengeId, code: app.keys.codeOf(challengeId) }
  }
  const change = (caller: typeof adaCaller, email: string) => ticketOf(() => app.auth.requestEmailChange(caller, { email, network: '192.0.2.1', operation: { id: newId(), startedAt: new Date() } }, 'race'))
  const tickets = {
    'confirm wanted': await ticketOf(() => app.auth.requestCode({ email: WANTED, registration: { name: 'Pending' }, network: '192.0.2.2' }, 'race')),
    'ada → wanted': await change(adaCaller, WANTED),
    'ada → other': await change(adaCaller, OTHER),
    'ben → wanted': await change(benCaller, WANTED)
  }
  const pendingId = claimsIn(world.tables.itemsOf('UsersTable'), world.now()).get(WANTED)!
  const begin = world.snapshot()
  const goalOf = (step: Step) => step.endsWith('wanted') ? WANTED : OTHER
  const whoOf = (step: Step) => step.includes('ada') ? ada.user.id : step.startsWith('ben') ? ben.user.id : step === 'confirm wanted' ? pendingId : ''

  return {
    name: 'email-change',
    scenario: fc.record({ steps: fc.array(fc.constantFrom<Step>('ada → wanted', 'ben → wanted', 'ada → other', 'delete ada', 'register wanted', 'confirm wanted'), { minLength: 2, maxLength: 4 }) }),
    plants: {
      'the version is not compared': unconditional(({ ConditionExpression }) => ConditionExpression === 'version = :version'),
      'a claim is moved without a condition': unconditional(({ Item }) => Item?.kind === 'claim'),
      'the claims of an erased account stay': (_command, input) => {
        if (writesOf(input).some(({ Item }) => Item?.kind === 'erased')) input['TransactItems'] = input['TransactItems'].filter(({ Delete }: { Delete?: { Key: { userId: string } } }) => Delete?.Key.userId.startsWith('email#') !== true)
      }
    },

    async play ({ steps }, { together }) {
      begin()
      const items = () => world.tables.itemsOf('UsersTable')
      /** who had an address after each step, and whether the owner had proved it */
      const history = new Map<string, { owner: string | undefined, isProved: boolean }[]>([[WANTED, []], [OTHER, []]])
      const note = () => {
        const accounts = accountsIn(items(), world.now())
        const claims = claimsIn(items(), world.now())
        for (const [address, past] of history) {
          const owner = claims.get(address)
          past.push({ owner, isProved: owner !== undefined && accounts.find(({ id }) => id === owner)?.status !== 'PENDING_VERIFICATION' })
        }
      }
      note()

      const actors = await together(({ add }) => {
        steps.forEach((step, i) => {
          const { auth, users } = world.apps[i % 2]!
          const name = `${step} ${i}`
          if (step === 'delete ada') add(name, () => users.remove({ userId: adaCaller.userId, sid: adaCaller.sid }, adaCaller.userId, 'race'))
          else if (step === 'register wanted') add(name, () => users.register({ email: WANTED, name: 'Late' }, 'race'))
          else add(name, () => auth.verify(tickets[step].challengeId, tickets[step].code, 'race'))
        })
      }, () => {
        note()
        const fault = accountFault(items(), world.now())
        demand(fault === undefined, () => fault!)
      })

      const versions = (userId: string): Item[] => world.tables.log.flatMap(({ table, after }) => table === 'UsersTable' && after?.['userId'] === userId ? [after] : [])
      const stepOf = ({ position }: Actor) => steps[position]!
      const isOver = (error: Actor['error']) => error!.statusCode === 503 || error!.name === 'TransactionCanceledException'

      for (const actor of actors) {
        const { name, state, error, start, end } = actor
        const step = stepOf(actor)
        const [who, goal] = [whoOf(step), goalOf(step)]
        /** someone else's, at some moment while the request was running */
        const wasTaken = () => history.get(goal)!.slice(start - 1, end + 1).some(({ owner, isProved }) => owner !== undefined && owner !== who && (isProved || step === 'register wanted'))
        const deletions = actors.filter(other => stepOf(other) === 'delete ada' && other.start <= end)
        const isGone = (step.startsWith('ada') || step === 'delete ada') && deletions.some(other => other !== actor)

        if (state === 'fulfilled' && step in tickets) {
          demand(versions(who).some(({ email, status }) => email === goal && status === 'ACTIVE'), () => `${name} was acknowledged, and the account never had the address`)
        }
        if (state !== 'rejected' || isOver(error)) continue
        switch (step) {
          case 'delete ada':
            demand(error!.code === 'USERS_CONFLICT' || (isGone && error!.statusCode === 401), () => `${name} failed: ${error!.code ?? error!.message}`)
            break
          case 'register wanted':
            demand(error!.code === 'USERS_EMAIL_TAKEN' && wasTaken(), () => `${name} was refused, and the address was free: ${error!.message}`)
            break
          case 'confirm wanted':
            demand(['AUTH_CODE_INVALID', 'USERS_CONFLICT'].includes(error!.code!) && history.get(WANTED)!.slice(0, end + 1).some(({ owner }) => owner !== pendingId), () => `${name} failed: ${error!.message}`)
            break
          default:
            if (error!.code === 'AUTH_EMAIL_TAKEN') demand(wasTaken(), () => `${name} was told that the address is taken, and it was not`)
            else demand(error!.code === 'AUTH_CODE_INVALID' && isGone, () => `${name} failed: ${error!.code ?? error!.message}`)
        }
      }

      const isDeleted = () => items().some(({ userId }) => userId === `erased#${nameless(ada.user.id)}`)
      if (actors.some(actor => stepOf(actor) === 'delete ada' && actor.state === 'fulfilled')) demand(isDeleted(), () => 'a deletion was acknowledged, and the account is there')
      if (!isDeleted()) return
      // Afterwards nothing of the account is left, wherever a request stopped.
      await world.drain()
      const left = [...items(), ...world.tables.itemsOf('AuthTable')].filter(item => item['pk'] === `user#${ada.user.id}` || [item['userId'], item['ownerId'], (item['data'] as Item | undefined)?.['userId']].includes(ada.user.id))
      demand(left.length === 0, () => `of a deleted account is left: ${left.map(({ pk, sk, userId }) => [pk, sk, userId].join(' ')).join(', ')}`)
    }
  }
}
