import { isEmail } from './email-address.ts'
import { isLocale } from './locale.ts'
import { isPersonName } from './person-name.ts'

/** Formats of strings in our schemas besides the standard ones, for Ajv. */
export const FORMATS = { 'idn-email': isEmail, 'language-tag': isLocale, 'person-name': isPersonName }
