import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { MAX_BYTES, PICTURES } from '../../scripts/pictures.ts'
import { documents, ROOT } from './documents.ts'
import { figureFaults, pictureFaults } from './readme.ts'

const readme = documents.find(({ path }) => path === 'README.md')!.text

t.test('the figures of the README are those of the pages that it names', async t => {
  t.strictSame(figureFaults(readme), [])
})

t.test('another figure, a row that nothing checks, one that is gone and a page that changed are found', async t => {
  const planted = (old: string | RegExp, next: string) => { t.match(readme, old); return figureFaults(readme.replace(old, next)) }
  t.match(planted('3.44 times a naive', '4.44 times a naive'), [/^"requests a second, a cached profile" says 4\.44, 24,470, and docs\/benchmarks\.md 3\.44, 24,470$/])
  t.match(planted(/^\| a read with 1,000,000 users \|.*\n/m, ''), ['README.md has no row "a read with 1,000,000 users"'])
  t.match(planted(/^\| Redis killed /m, '| Redis frozen '), [/no row "Redis killed/, /^nothing checks the row "Redis frozen/])
  t.match(planted('0 leaks', 'no leaks'), [/says nothing, and docs\/promises\.md 35, 10, 0$/])
  t.match(figureFaults(readme, () => ''), Array.from({ length: 10 }, () => /nothing like/))
})

t.test('every picture is there, is small, and is shown with a text in its place', async t => {
  const texts = documents.map(({ text }) => text)
  const names = [...PICTURES]
  t.strictSame(pictureFaults(texts, names, MAX_BYTES), [])
  t.strictSame(readdirSync(resolve(ROOT, 'docs/pictures')).sort(), names.sort(), 'npm run pictures makes each of them')
  t.match(pictureFaults(texts, ['none.webp'], MAX_BYTES), [/none\.webp is missing/])
  t.match(pictureFaults(texts, ['inbox.webp'], 1000), [/bytes, and may have 1000$/])
  t.match(pictureFaults([readme.replace(/!\[[^\]]+\](?=\([^)]*inbox)/, '![inbox]')], ['inbox.webp'], MAX_BYTES), [/^no document shows/])
})
