import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { countedNames } from '../metric-names.ts'
import { loadTemplate } from '../template/evaluate.ts'
import { documents } from './documents.ts'

// The page is for the day on which it is done on AWS. What can be held here: every exercise is whole, its rehearsal is a
// test that is there, and what it says will be seen is in the template.

const { text } = documents.find(({ path }) => path === 'docs/gameday.md')!

interface Exercise { title: string, parts: Map<string, string> }

function exercisesOf (page: string): Exercise[] {
  return page.split(/^## (?=\d\. )/m).slice(1).map(section => {
    const [title = '', ...lines] = section.split(/^## /m)[0]!.split('\n')
    return { title, parts: new Map(lines.join('\n').split(/^\*\*(?=[A-Z]\w+\.\*\*)/m).slice(1).map(part => [part.split('.')[0]!, part])) }
  })
}

function faultsOf (page: string): string[] {
  const { Resources, Outputs } = loadTemplate() as ReturnType<typeof loadTemplate> & { Outputs: Record<string, unknown> }
  const faults: string[] = []
  for (const { title, parts } of exercisesOf(page)) {
    for (const part of ['Prepare', 'Break', 'See', 'End', 'Rehearse']) if (!parts.has(part)) faults.push(`${title}: no ${part}`)
    const rehearsal = parts.get('Rehearse') ?? ''
    const files = [...rehearsal.matchAll(/\btest\/[\w/.-]+\.test\.ts\b/g)].map(([file]) => file)
    const names = [...rehearsal.matchAll(/"([^"]+)"/g)].map(([, name]) => name!)
    if (files.length === 0 || names.length === 0) faults.push(`${title}: nothing rehearses it`)
    const sources = files.map(file => existsSync(file) ? readFileSync(file, 'utf8') : '')
    for (const [i, source] of sources.entries()) if (!names.some(name => source.includes(`t.test('${name}'`))) faults.push(`${title}: ${files[i]!} is not what rehearses it`)
    for (const name of names) if (!sources.some(source => source.includes(`t.test('${name}'`))) faults.push(`${title}: there is no test "${name}"`)
    for (const [, name] of (parts.get('See') ?? '').concat(parts.get('End') ?? '').matchAll(/`(\w+Alarm)`/g)) if (Resources[name!] === undefined) faults.push(`${title}: there is no ${name!}`)
    for (const [, name] of (parts.get('See') ?? '').matchAll(/`((?:Mails|Outbox|Codes)[A-Z]\w+)`/g)) if (!name!.endsWith('Alarm') && !(countedNames as string[]).includes(name!)) faults.push(`${title}: nothing counts ${name!}`)
    for (const [, name] of [...parts.values()].join('').matchAll(/\$\(out (\w+)\)/g)) if (Outputs[name!] === undefined) faults.push(`${title}: the stack has no output ${name!}`)
  }
  return faults
}

t.test('each of the six exercises says how to begin, what is seen, how to end, and which tests rehearse it', async t => {
  t.equal(exercisesOf(text).length, 6)
  t.strictSame(faultsOf(text), [])
})

t.test('an exercise without an end, with a test, an alarm, a metric or an output that is not there, is found', async t => {
  const planted = (old: string, next: string) => { t.ok(text.includes(old), old); return faultsOf(text.replace(old, next)) }
  t.strictSame(planted('**End.** `npm run dlq', '`npm run dlq'), ['2. The mail queue is poisoned: no End'])
  t.match(planted('"purge removes them all"', '"purge removes none"'), [/: there is no test "purge removes none"$/])
  t.match(planted('`RelayLagAlarm`', '`RelaySlowAlarm`'), [/: there is no RelaySlowAlarm$/])
  t.match(planted('`MailsFailed` counts', '`MailsLost` counts'), [/: nothing counts MailsLost$/])
  t.match(planted('$(out UsersTableName)', '$(out UserTable)'), [/: the stack has no output UserTable$/])
  t.match(planted(' test/plugins/outbox.test.ts', ' test/plugins/config.test.ts'), [/config\.test\.ts is not what rehearses it$/, /there is no test "what the stream/])
})
