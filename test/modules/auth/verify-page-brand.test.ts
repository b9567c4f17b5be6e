import Fastify from 'fastify'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import { createVerifyPage, type Brand } from '../../../src/modules/auth/verify-page.ts'

/** The page alone. */
async function openPage (t: Test, brand: Brand = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/verify', createVerifyPage(brand))
  await app.ready()
  return async (language = 'en') => await app.inject({ url: '/verify', headers: { 'accept-language': language } })
}
const styleIn = (body: string) => /<style>([^]*?)<\/style>/.exec(body)![1]!

/** Reads of files go wrong, or have another content. @returns what ends it */
function interceptReads (step: (name: string, text: string) => string): () => void {
  const { readFile } = fs
  fs.readFile = (async (url: URL, encoding: 'utf8') => step(url.pathname.split('/').at(-1)!, await readFile(url, encoding))) as unknown as typeof readFile
  syncBuiltinESMExports()
  return () => {
    fs.readFile = readFile
    syncBuiltinESMExports()
  }
}

t.test('the brand is shown as a text, or as a picture with the text in its place, and nothing where there is none', async t => {
  const shown = '&amp; &lt;b&gt; &quot;Co&quot; &#39;n'
  const logoUrl = 'https://cdn.example.com/a.png?v=1&w="2"'
  const picture = (alt: string) => `  <p class="brand"><img src="https://cdn.example.com/a.png?v=1&amp;w=&quot;2&quot;" alt="${alt}"></p>`
  const plain = (await (await openPage(t))()).body
  t.notMatch(plain, 'class="brand"')
  for (const [brand, html, origin] of [
    [{ name: '& <b> "Co" \'n' }, `  <p class="brand"><bdi>${shown}</bdi></p>`, ''],
    [{ name: '& <b> "Co" \'n', logoUrl }, picture(shown), ' https://cdn.example.com'],
    [{ logoUrl }, picture(''), ' https://cdn.example.com']
  ] as const) {
    const { body, headers } = await (await openPage(t, brand))()
    t.ok(body.includes(`\n${html}\n`), html)
    t.equal(body.replace(html, ''), plain, 'and the rest of the page is as it was')
    t.match(headers['content-security-policy'], `; img-src data:${origin}; connect-src`)
  }
})

t.test('the colour of the brand is legible on the light page and on the dark one', async t => {
  const style = styleIn((await (await openPage(t))()).body)
  for (const [colour, added] of [
    ['#ffd400', `:root { --action: #8a7200; --fill: #ffd400; --on-fill: #000000 }
@media (prefers-color-scheme: dark) { :root { --action: #ffd400; --fill: #ffd400; --on-fill: #000000 } }
`],
    ['#102040', `:root { --action: #102040; --fill: #102040; --on-fill: #ffffff }
@media (prefers-color-scheme: dark) { :root { --action: #838b9c; --fill: #616c81; --on-fill: #ffffff } }
`]
  ] as const) t.equal(styleIn((await (await openPage(t, { colour }))()).body), style + added)
})

t.test('a page that could not be read is read again for the next request, and then no more', async t => {
  const page = await openPage(t)
  let reads = 0
  const stop = interceptReads((name, text) => {
    if (name === 'page.html' && ++reads === 1) throw new Error('the disk is gone for a moment')
    return text
  })
  const answers = [await page(), await page(), await page('de')]
  stop()
  t.same(answers.map(({ statusCode }) => statusCode), [500, 200, 200])
  t.equal(reads, 2)
})

t.test('no text ends the element that holds it', async t => {
  const hostile = '</script><script>alert(1)</script>'
  const stop = interceptReads((name, text) => name === 'de.json' ? JSON.stringify({ ...JSON.parse(text) as object, signInDone: hostile }) : text)
  const { body } = await (await openPage(t))('de')
  stop()
  t.notOk(body.includes(hostile))
  const texts = JSON.parse(/id="texts">(.*?)<\/script>/.exec(body)![1]!) as Record<string, string>
  t.equal(texts['signInDone'], hostile)
})

t.test('the address that was typed has its own place in a text', async t => {
  const page = await openPage(t)
  const place = '<strong><bdi data-text="email"></bdi></strong>'
  t.ok((await page('en')).body.includes(`<p>If ${place} belongs to an account, a message with a code`))
  for (const language of ['ar', 'de', 'es', 'fr', 'ja', 'pt']) t.equal((await page(language)).body.split(place).length, 2, language)
})
