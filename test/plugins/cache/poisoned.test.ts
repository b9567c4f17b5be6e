import t from 'tap'
import { report, workload } from '../../promise.ts'
import { until } from '../../until.ts'
import { inSeconds, poisonsOf } from './poisons.ts'
import { isPerson, openCache, openRedis, rawClient, type Person } from './support.ts'

/** Whether a text is the entry that the service makes of a person. */
const isEntry = (text: string | null, person: Person) => new RegExp(`^${person.version}@\\d+:`).test(text ?? '') && text!.slice(text!.indexOf(':') + 1) === JSON.stringify(person)

t.test('a planted entry neither hides a newer write nor stays forever', async t => {
  const { url } = await openRedis(t)
  const [people, other] = [await openCache(t, { REDIS_URL: url }), await openCache(t, { REDIS_URL: url })]
  const raw = rawClient(t, url)
  const person = (id: string, version: number, name = 'Ada'): Person => ({ id, name, version })
  const planted: Record<string, (id: string) => string> = {
    'an entry whose version is far ahead': id => `999999@${inSeconds(50)}:${JSON.stringify(person(id, 999_999, 'Mallory'))}`,
    'a deletion far ahead': () => `999999@${inSeconds(50)}:`,
    'an entry that claims another version than its record': id => `9@${inSeconds(50)}:${JSON.stringify(person(id, 1, 'Mallory'))}`,
    'an entry of the version that is written': id => `2@${inSeconds(50)}:${JSON.stringify(person(id, 2, 'Mallory'))}`,
    'an entry ahead that never expires': id => `9@999999999999999:${JSON.stringify(person(id, 9, 'Mallory'))}`,
    'a deletion ahead that has expired': () => `9@${inSeconds(-1)}:`,
    'no entry of ours': () => '9:{}'
  }
  for (const [i, [what, poison]] of Object.entries(planted).entries()) {
    const id = `planted-${i}`
    await raw.set(id, poison(id))
    await people.write(id, person(id, 2))
    for (const reader of [people, other]) t.same(await reader.read(id, async () => person(id, 2), isPerson(id)), person(id, 2), what)
    t.ok(isEntry(await raw.get(id), person(id, 2)), `${what} is replaced`)
    t.ok(await raw.pttl(id) > 0 && await raw.pttl(id) <= 60_000, 'what replaces it expires')

    await raw.set(id, poison(id))
    await people.remove(id, 3)
    t.equal(await other.read(id, async () => undefined, isPerson(id)), undefined, `${what} does not undo a deletion`)
  }
  // Ours stays: another instance was faster.
  await people.write('ahead', person('ahead', 5))
  await other.write('ahead', person('ahead', 4))
  t.match(await people.read('ahead', async () => undefined, isPerson('ahead')), { version: 5 })
})

t.test('100 poisoned entries: none is served, none is an error, each is replaced', async t => {
  const { url } = await openRedis(t)
  const people = await openCache(t, { REDIS_URL: url })
  const raw = rawClient(t, url)
  const good = (id: string): Person => ({ id, name: 'Ada', version: 1 })
  const poisons = poisonsOf(good)
  // A reader does not wait until its record is stored.
  const isReplaced = async (id: string) => await until(async () => isEntry(await raw.get(id), good(id)), { timeoutMs: 1000 }).catch(() => false)
  let wrong = 0
  let kept = 0
  const count = workload({ short: 100, full: 5000 })
  for (let i = 0; i < count; i++) {
    const id = `poisoned-${i}`
    const poison = poisons[i % poisons.length]!(id)
    await raw.set(id, poison)
    const answer = await people.read(id, async () => good(id), isPerson(id))
    if (JSON.stringify(answer) !== JSON.stringify(good(id))) wrong++
    if (!await isReplaced(id)) kept++
  }
  // A hash where a text should be: Redis itself refuses the command.
  await raw.hset('poisoned-type', 'a', 'b')
  for (let i = 0; i < 10; i++) t.same(await people.read('poisoned-type', async () => good('poisoned-type'), isPerson('poisoned-type')), good('poisoned-type'))
  t.ok(await isReplaced('poisoned-type'))
  t.equal(Object.getOwnPropertyNames(Object.prototype).includes('name'), false)
  report(t, { promise: 16, part: 'in the cache', figure: `${count.toLocaleString('en')} poisoned entries of ${poisons.length} kinds: ${wrong} served, ${kept} kept`, holds: wrong === 0 && kept === 0 })
})
