import { UsageError } from '../command.ts'

/** A name in each form in which code and documents write it. */
interface Forms {
  /** `purchase-orders`: folders, paths, types of events */
  kebab: string
  /** `purchaseOrders` */
  camel: string
  /** `PurchaseOrders` */
  pascal: string
  /** `PURCHASE_ORDERS` */
  constant: string
  /** `purchase orders`, in sentences */
  text: string
  /** `Purchase orders`, at their beginning */
  title: string
}

/** The names of a module: what it holds, in the plural and in the singular. */
export interface Names { many: Forms, one: Forms }

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)

function formsOf (kebab: string): Forms {
  const words = kebab.split('-')
  const pascal = words.map(capital).join('')
  return { kebab, camel: words[0]! + pascal.slice(words[0]!.length), pascal, constant: words.join('_').toUpperCase(), text: words.join(' '), title: capital(words.join(' ')) }
}

/** The names in the templates. They have two words, so that no two forms look alike. */
const TEMPLATE: Names = { many: formsOf('purchase-orders'), one: formsOf('purchase-order') }

const KEBAB = /^[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*$/

/** The longest name: the names of alarms and of the metrics in them are made from it. */
const MAX = 40

/**
 * What a plural can be the plural of: none when it is no regular one, two where only a dictionary knows, as with `batches` and
 * `caches`. Libraries of inflection guess there.
 */
function singularsOf (plural: string): string[] {
  if (!/[^siu]s$/.test(plural)) return []
  const isUnclear = /(?:[iosxz]|ch|sh)es$/.test(plural)
  return [plural.replace(/s$/, ''), ...(isUnclear ? [plural.replace(/ies$/, 'yes').replace(/es$/, '')] : [])]
}

/**
 * The names of a module that is called by its plural.
 *
 * @throws {UsageError} a name that cannot be used, with what to write instead
 */
export function namesOf (plural: string, given?: string): Names {
  const known = singularsOf(plural)
  const singular = given ?? (known.length === 1 ? known[0] : undefined)
  for (const name of [plural, ...(singular === undefined ? [] : [singular])]) {
    if (!KEBAB.test(name)) throw new UsageError(`${name} is not a name: write it in lower case, with dashes between words, as in purchase-orders`)
    if (name.length > MAX) throw new UsageError(`${name} is too long: a name has ${MAX} characters at most`)
  }
  if (singular === undefined && known.length > 0) throw new UsageError(`${plural} can be the plural of ${known.join(' or ')}: add --singular ${known.join(' or --singular ')}`)
  if (singular === undefined) throw new UsageError(`${plural} is not a plural that ends in s: modules are named in the plural, as orders is; for another plural add its singular, as in npm run new:module -- people --singular person`)
  if (singular === plural) throw new UsageError(`--singular must differ from ${plural}: files, types and routes use both`)
  return { many: formsOf(plural), one: formsOf(singular) }
}

const article = ({ one: { text } }: Names) => /^(?:[aeio]|u(?!ni|s[aeu]))/.test(text) ? 'an' : 'a'

/** Puts a module's names in the place of those of the templates. */
export function rename (text: string, names: Names): string {
  const pairs = ([['many', 'kebab'], ['many', 'camel'], ['many', 'pascal'], ['many', 'constant'], ['many', 'text'], ['many', 'title'],
    ['one', 'kebab'], ['one', 'camel'], ['one', 'pascal'], ['one', 'constant'], ['one', 'text'], ['one', 'title']] as const)
    .map(([number, form]) => [TEMPLATE[number][form], names[number][form]] as const)
  const found = new Map(pairs)
  // The plural first: the singular is its beginning.
  const pattern = new RegExp(pairs.map(([from]) => from).join('|'), 'g')
  return text
    .replace(new RegExp(`\\b([Aa]) (?=${TEMPLATE.one.text}\\b)`, 'g'), (_, a: string) => `${a === 'A' ? capital(article(names)) : article(names)} `)
    .replace(pattern, from => found.get(from)!)
}
