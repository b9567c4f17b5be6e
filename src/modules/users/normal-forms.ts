import { canonicalEmail } from '../../shared/email-address.ts'
import { validationError, type FieldError } from '../../shared/errors.ts'
import { canonicalLocale } from '../../shared/locale.ts'
import { normalName } from '../../shared/person-name.ts'
import type { Registration } from './contract.ts'

/** Normalizes each field that users type, or gives `undefined` when it is invalid. The schema has checked the rest. */
const NORMAL_FORMS = {
  email: { of: canonicalEmail, detail: 'is not an e-mail address' },
  name: { of: normalName, detail: 'must have at least 2 visible characters, and no invisible ones' },
  locale: { of: canonicalLocale, detail: 'is not a language tag' }
}

/** The fields of a registration or a patch as they are stored. Throws VALIDATION_FAILED with every invalid field. */
export function normalized<T extends Partial<Registration>> (input: T): T {
  const result: Partial<Registration> = { ...input }
  const errors: FieldError[] = []
  for (const [field, { of, detail }] of Object.entries(NORMAL_FORMS) as [keyof Registration, { of: (text: string) => string | undefined, detail: string }][]) {
    const typed = input[field]
    if (typed === undefined) continue
    const normal = of(typed)
    if (normal === undefined) errors.push({ pointer: `/${field}`, detail })
    else result[field] = normal
  }
  if (errors.length > 0) throw validationError(errors)
  return result as T
}
