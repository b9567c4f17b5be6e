import { readFileSync, globSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { USERS_EVENTS } from '../../../src/modules/users/events.ts'

const FOLDER = join(import.meta.dirname, '../../../docs/schemas')

t.test('the events of this module are those with a committed schema, and their data is what it says', async t => {
  t.same(USERS_EVENTS.map(({ type }) => `${type}.v1.json`).sort(), globSync('user.*', { cwd: FOLDER }).sort())
  for (const { type, description, data } of USERS_EVENTS) {
    const committed = JSON.parse(readFileSync(join(FOLDER, `${type}.v1.json`), 'utf8'), (key, value) => key === 'format' && value === 'int32' ? undefined : value)
    t.equal(description, committed.description)
    const { required, properties } = committed.properties.data
    const made = JSON.parse(JSON.stringify(data))
    t.same([made.required, Object.keys(made.properties)], [required, Object.keys(properties)], type)
    for (const field of ['userId', 'userVersion', 'email', 'changed']) t.strictSame(made.properties[field], properties[field], `${type} ${field}`)
  }
})
