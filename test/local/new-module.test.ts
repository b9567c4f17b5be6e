import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkFree } from '../../scripts/new-module/clashes.ts'
import { editsOf } from '../../scripts/new-module/edits.ts'
import { namesOf, rename } from '../../scripts/new-module/names.ts'

const ROOT = join(import.meta.dirname, '../..')

t.test('the singular of a name, and its other forms', async t => {
  for (const [plural, singular] of [['orders', 'order'], ['invoices', 'invoice'], ['messages', 'message'], ['leaves', 'leave'], ['keys', 'key'], ['price-lists', 'price-list']] as const) {
    t.equal(namesOf(plural).one.kebab, singular)
  }
  t.equal(namesOf('people', 'person').one.camel, 'person')
  t.strictSame(namesOf('price-lists').many, { kebab: 'price-lists', camel: 'priceLists', pascal: 'PriceLists', constant: 'PRICE_LISTS', text: 'price lists', title: 'Price lists' })
  t.equal(rename('A purchase order of purchaseOrders, PurchaseOrder, PURCHASE_ORDERS_MAX; not a purchase', namesOf('entries', 'entry')), 'An entry of entries, Entry, ENTRIES_MAX; not a purchase')
})

t.test('a name that is none is refused, with what to write instead', async t => {
  for (const [name, singular, message] of [
    ['Orders', undefined, /^Orders is not a name: write it in lower case/],
    ['price_lists', undefined, /is not a name/],
    ['../users', undefined, /is not a name/],
    ['1orders', undefined, /is not a name/],
    ['order', undefined, /^order is not a plural that ends in s/],
    ['people', 'Person', /^Person is not a name/],
    ['sheep', 'sheep', /^--singular must differ from sheep/],
    [`${'x'.repeat(40)}s`, undefined, /is too long: a name has 40 characters at most/]
  ] as const) t.throws(() => namesOf(name, singular), { message }, name)
})

t.test('a plural of which there can be two singulars is not guessed', async t => {
  for (const [plural, ...singulars] of [
    ['caches', 'cache', 'cach'], ['batches', 'batche', 'batch'], ['categories', 'categorie', 'category'], ['movies', 'movie', 'movy'], ['statuses', 'statuse', 'status'], ['courses', 'course', 'cours'],
    ['boxes', 'boxe', 'box'], ['sizes', 'size', 'siz'], ['wishes', 'wishe', 'wish'], ['heroes', 'heroe', 'hero'], ['postal-addresses', 'postal-addresse', 'postal-address']
  ] as const) {
    t.throws(() => namesOf(plural), { message: `${plural} can be the plural of ${singulars.join(' or ')}: add --singular ${singulars.join(' or --singular ')}` }, plural)
    t.strictSame(singulars.map(singular => namesOf(plural, singular).one.kebab), singulars)
  }
  for (const plural of ['status', 'address', 'analysis']) t.throws(() => namesOf(plural), { message: new RegExp(`^${plural} is not a plural that ends in s`) }, plural)
})

t.test('a name that something has is refused, with what has it', async t => {
  const source = "import { Page } from 'x'\n/* Order */\nconst text = 'Order'\nexport interface PurchaseOrder { page: Page }"
  const check = (name: string, singular = name.replace(/s$/, '')) => () => checkFree(ROOT, namesOf(name, singular), [source])
  for (const name of ['orders', 'price-lists']) t.doesNotThrow(check(name), name)
  for (const [name, what] of [
    ['users', 'src/modules/users exists'],
    ['sessions', 'a part of the export'],
    ['avatars', 'a tag'],
    ['events', 'plugins know no module'],
    ['addresses', 'Fastify has an app.addresses'],
    ['pages', 'uses Page for something else'],
    ['promises', 'uses Promise for something else'],
    ['problems', 'has a schema Problem']
  ] as const) t.throws(check(name), { message: new RegExp(`^${name} cannot be the name of a new module: .*${what}`) }, name)
})

t.test('each edit of a file that exists can be made and undone, beside that of another module', async t => {
  const [orders, lists] = [editsOf(namesOf('orders')), editsOf(namesOf('price-lists'))]
  t.ok(orders.size >= 5 && orders.size <= 9, `${orders.size} files`)
  for (const [file, edits] of orders) {
    const original = readFileSync(join(ROOT, file), 'utf8')
    const apply = (text: string, all = edits) => all.reduce((text, edit) => edit.apply(text), text)
    const revert = (text: string, all = edits) => all.reduce((text, edit) => edit.revert(text), text)
    const [one, both] = [apply(original), apply(apply(original), lists.get(file))]
    t.not(one, original, file)
    t.ok(revert(one) === original, `${file}: undone`)
    t.ok(revert(both, lists.get(file)) === one, `${file}: the other is left`)
    t.ok(revert(both) === apply(original, lists.get(file)), `${file}: the first of two`)
    t.throws(() => apply(one), { message: /is there already/ }, file)
    t.throws(() => revert(original), { message: /is there no more/ }, file)
    t.throws(() => apply(''), { name: 'Error' }, `${file}: an anchor is needed`)
  }
})

t.test('the list of changes gets its heading when a release has taken it away', async t => {
  const [edit] = editsOf(namesOf('orders')).get('CHANGELOG.md')!
  const released = '# Changelog\n\n## [Unreleased]\n\n## [1.0.0]\n\n### Added\n- All.\n'
  t.match(edit!.apply(released), '## [Unreleased]\n\n### Added\n- Orders: ')
  t.match(edit!.apply(released), '\n## [1.0.0]\n\n### Added\n- All.\n')
  t.equal(edit!.revert(edit!.apply(released)), released)
})
