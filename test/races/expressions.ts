// The expressions of DynamoDB, as far as the repositories use them. What is not known here is an error and never a guess.
// test/races/tables.test.ts compares it with the engines.

export type Item = Readonly<Record<string, unknown>>

/** What a call hands over besides its expressions. */
export interface Terms { names: Record<string, string>, values: Record<string, unknown> }

export class ValidationError extends Error {
  override name = 'ValidationException'
  $metadata = { httpStatusCode: 400 }
}

type Path = (string | number)[]
type Operand = (item: Item, terms: Terms) => unknown
type Condition = (item: Item, terms: Terms) => boolean
/** One clause of an update: reads from the item as it was, and writes to the next one. */
type Change = (was: Item, next: Map<string, unknown>, terms: Terms) => void

const TOKEN = /\s*(<=|>=|[=<>(),[\]]|[#:]?[A-Za-z0-9_]+)/y

function tokensOf (text: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const found = TOKEN.exec(text)
    if (found === null) throw new Error(`not in this model: ${text}`)
    tokens.push(found[1]!)
  }
  return tokens
}

const typeOf = (value: unknown): string => value instanceof Set ? 'set' : Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value

/** Whether two values are equal: of the same type, sets in any order. */
function isEqual (a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a instanceof Set && b instanceof Set) return a.size === b.size && [...a].every(member => b.has(member))
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [Object.entries(a), Object.entries(b)]
  return left.length === right.length && left.every(([key, value]) => isEqual(value, (b as Record<string, unknown>)[key]))
}

/** Strings are ordered by their UTF-8 bytes. */
export const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))

const COMPARISONS: Record<string, (order: number) => boolean> = { '<': order => order < 0, '<=': order => order <= 0, '>': order => order > 0, '>=': order => order >= 0 }

const FUNCTIONS: Record<string, (...args: unknown[]) => boolean> = {
  attribute_exists: value => value !== undefined,
  attribute_not_exists: value => value === undefined,
  begins_with: (value, start) => typeof value === 'string' && typeof start === 'string' && value.startsWith(start),
  contains (value, part) {
    if (typeof value === 'string') return typeof part === 'string' && value.includes(part)
    return value instanceof Set ? value.has(part) : Array.isArray(value) && value.some(member => isEqual(member, part))
  }
}

function sizeOf (value: unknown): number | undefined {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (value instanceof Set) return value.size
  if (Array.isArray(value)) return value.length
  return typeof value === 'object' && value !== null ? Object.keys(value).length : undefined
}

function valueAt (item: Item, path: Path): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof part === 'number') return Array.isArray(value) ? value[part] as unknown : undefined
    return typeOf(value) === 'object' ? (value as Record<string, unknown>)[part] : undefined
  }, item)
}

/** Reads an expression by recursive descent. */
class Parser {
  readonly tokens: string[]
  readonly text: string
  at = 0
  constructor (text: string) {
    this.text = text
    this.tokens = tokensOf(text)
  }

  fail (): never { throw new Error(`not in this model: ${this.text} (at ${this.tokens[this.at] ?? 'its end'})`) }
  get next (): string | undefined { return this.tokens[this.at] }
  takes (token: string): boolean {
    if (this.next?.toUpperCase() !== token) return false
    this.at++
    return true
  }

  need (token: string): void { if (!this.takes(token)) this.fail() }
  end (): void { if (this.next !== undefined) this.fail() }

  path (): (terms: Terms) => Path {
    const name = this.next
    if (name === undefined || !/^#?[A-Za-z]/.test(name)) this.fail()
    this.at++
    const indexes: number[] = []
    while (this.takes('[')) {
      indexes.push(Number(this.next))
      this.at++
      this.need(']')
    }
    return ({ names }) => [name.startsWith('#') ? names[name] ?? this.fail() : name, ...indexes]
  }

  operand (): Operand {
    const token = this.next ?? this.fail()
    if (token.startsWith(':')) {
      this.at++
      return (_, { values }) => values[token] ?? this.fail()
    }
    if (token === 'size') {
      this.at++
      this.need('(')
      const path = this.path()
      this.need(')')
      return (item, terms) => sizeOf(valueAt(item, path(terms)))
    }
    const path = this.path()
    return (item, terms) => valueAt(item, path(terms))
  }

  condition (): Condition {
    const left = this.conjunction()
    if (!this.takes('OR')) return left
    const right = this.condition()
    return (item, terms) => left(item, terms) || right(item, terms)
  }

  conjunction (): Condition {
    const left = this.negation()
    if (!this.takes('AND')) return left
    const right = this.conjunction()
    return (item, terms) => left(item, terms) && right(item, terms)
  }

  negation (): Condition {
    if (!this.takes('NOT')) return this.comparison()
    const condition = this.negation()
    return (item, terms) => !condition(item, terms)
  }

  comparison (): Condition {
    if (this.takes('(')) {
      const inner = this.condition()
      this.need(')')
      return inner
    }
    const test = Object.hasOwn(FUNCTIONS, this.next ?? '') ? FUNCTIONS[this.next!] : undefined
    if (test !== undefined) {
      this.at++
      const args = this.list()
      return (item, terms) => test(...args.map(arg => arg(item, terms)))
    }
    const left = this.operand()
    if (this.takes('IN')) {
      const all = this.list()
      return (item, terms) => all.some(one => isEqual(left(item, terms), one(item, terms)))
    }
    const sign = this.next
    this.at++
    const right = this.operand()
    if (sign === '=') return (item, terms) => left(item, terms) !== undefined && isEqual(left(item, terms), right(item, terms))
    const holds = COMPARISONS[sign ?? ''] ?? this.fail()
    return (item, terms) => {
      const [a, b] = [left(item, terms), right(item, terms)]
      return typeof a === typeof b && (typeof a === 'number' || typeof a === 'string') && holds(compare(a, b as typeof a))
    }
  }

  list (): Operand[] {
    this.need('(')
    const all = [this.operand()]
    while (this.takes(',')) all.push(this.operand())
    this.need(')')
    return all
  }

  /** The right side of a SET clause. */
  assigned (): Operand {
    if (this.next === 'list_append' || this.next === 'if_not_exists') {
      const name = this.next
      this.at++
      this.need('(')
      const first = this.assigned()
      this.need(',')
      const second = this.assigned()
      this.need(')')
      if (name === 'if_not_exists') return (item, terms) => first(item, terms) ?? second(item, terms)
      return (item, terms) => {
        const [a, b] = [first(item, terms), second(item, terms)]
        if (!Array.isArray(a) || !Array.isArray(b)) throw new ValidationError('list_append needs two lists')
        return [...a as unknown[], ...b as unknown[]]
      }
    }
    return this.operand()
  }

  update (): Change[] {
    const changes: Change[] = []
    while (this.next !== undefined) {
      const clause = this.next.toUpperCase()
      this.at++
      if (clause === 'REMOVE') {
        changes.push(this.removal())
        continue
      }
      do changes.push(clause === 'SET' ? this.assignment() : clause === 'ADD' ? this.addition() : clause === 'DELETE' ? this.deletion() : this.fail())
      while (this.takes(','))
    }
    return changes
  }

  assignment (): Change {
    const path = this.path()
    this.need('=')
    const value = this.assigned()
    return (was, next, terms) => {
      const [name, ...rest] = path(terms)
      if (rest.length > 0) this.fail()
      const given = value(was, terms)
      if (given === undefined) throw new ValidationError('An operand in the update expression is missing in the item')
      next.set(String(name), given)
    }
  }

  /** Members of lists are removed together: each index is one of the list as it was. */
  removal (): Change {
    const paths = [this.path()]
    while (this.takes(',')) paths.push(this.path())
    return (was, next, terms) => {
      const members = new Map<string, Set<number>>()
      for (const path of paths) {
        const [name, index] = path(terms) as [string, number | undefined]
        if (index === undefined) next.delete(name)
        else members.set(name, new Set([...members.get(name) ?? [], index]))
      }
      for (const [name, indexes] of members) {
        const list = was[name]
        if (Array.isArray(list)) next.set(name, list.filter((_, i) => !indexes.has(i)))
        else throw new ValidationError('The path of a REMOVE is no list')
      }
    }
  }

  addition (): Change {
    const [path, value] = [this.path(), this.operand()]
    return (was, next, terms) => {
      const name = String(path(terms)[0])
      const [held, given] = [was[name], value(was, terms)]
      if (!(given instanceof Set) || (held !== undefined && !(held instanceof Set))) throw new ValidationError('ADD of something other than a set')
      next.set(name, new Set([...held ?? [], ...given]))
    }
  }

  deletion (): Change {
    const [path, value] = [this.path(), this.operand()]
    return (was, next, terms) => {
      const name = String(path(terms)[0])
      const [held, given] = [was[name], value(was, terms)]
      if (!(given instanceof Set) || (held !== undefined && !(held instanceof Set))) throw new ValidationError('DELETE of something other than a set')
      const left = [...held ?? []].filter(member => !given.has(member))
      if (left.length === 0) next.delete(name)
      else next.set(name, new Set(left))
    }
  }
}

function remembered<T> (parse: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return text => {
    let parsed = known.get(text)
    if (parsed === undefined) known.set(text, parsed = parse(text))
    return parsed
  }
}

const conditionOf = remembered(text => {
  const parser = new Parser(text)
  const condition = parser.condition()
  parser.end()
  return condition
})
const changesOf = remembered(text => new Parser(text).update())
const projectionOf = remembered(text => text.split(',').map(name => name.trim()))

/** Whether a condition holds for an item. Without a condition it does. */
export const holds = (condition: string | undefined, item: Item, terms: Terms): boolean => condition === undefined || conditionOf(condition)(item, terms)

/** The item after an update. */
export function updated (expression: string, item: Item, terms: Terms): Item {
  const next = new Map(Object.entries(item))
  for (const change of changesOf(expression)) change(item, next, terms)
  return Object.fromEntries(next)
}

export function projected (expression: string | undefined, item: Item, { names }: Terms): Item {
  if (expression === undefined) return item
  const attributes = projectionOf(expression).map(name => name.startsWith('#') ? names[name]! : name)
  return Object.fromEntries(attributes.flatMap(name => item[name] === undefined ? [] : [[name, item[name]]]))
}
