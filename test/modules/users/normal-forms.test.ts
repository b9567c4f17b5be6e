import t from 'tap'
import { normalized } from '../../../src/modules/users/normal-forms.ts'

const EMAIL = { pointer: '/email', detail: 'is not an e-mail address' }
const NAME = { pointer: '/name', detail: 'must have at least 2 visible characters, and no invisible ones' }
const LOCALE = { pointer: '/locale', detail: 'is not a language tag' }

t.test('what users type is stored in one form, and what is not typed is left alone', async t => {
  for (const [typed, stored] of [
    [{ email: 'Ada@Example.COM', name: ' Ada King ', locale: 'PT-br' }, { email: 'ada@example.com', name: 'Ada King', locale: 'pt-BR' }],
    [{ name: ' Ada ' }, { name: 'Ada' }],
    [{ name: undefined, role: 'admin' }, { name: undefined, role: 'admin' }],
    [{}, {}]
  ] as [object, object][]) {
    const before = structuredClone(typed)
    t.strictSame(normalized(typed), stored)
    t.strictSame(typed, before, 'what was typed stays as it was')
  }
})

t.test('every field that is invalid is named', async t => {
  for (const [typed, errors] of [
    [{ email: 'ada@example.com', name: 'A' }, [NAME]],
    [{ email: 'ada', name: 'Ada' }, [EMAIL]],
    [{ locale: 'de_DE' }, [LOCALE]],
    [{ email: '', name: '', locale: '' }, [EMAIL, NAME, LOCALE]]
  ] as const) t.throws(() => normalized(typed), { code: 'VALIDATION_FAILED', statusCode: 400, errors })
})
