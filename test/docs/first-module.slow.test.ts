import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { failuresIn, makeScratch, TYPES } from '../house/scratch.ts'
import { documents } from './documents.ts'
import { hasCurl, openShell, pattern, start, stop } from './terminal.ts'

const PAGE = 'docs/contributing/add-a-module.md'

/** Commands run for as long as a module's tests do. */
const PATIENCE = 200_000

t.test('the first module, block by block as its page says', { timeout: 900_000, skip: hasCurl() ? false : 'curl is not installed' }, async t => {
  const { blocks } = documents.find(({ path }) => path === PAGE)!
  const count = (language: string) => blocks.filter(block => block.language === language).length
  t.same([...new Set(blocks.map(({ language }) => language))].sort(), ['diff', 'json', 'sh', 'text'])
  t.ok(count('sh') >= 6 && count('diff') >= 3, 'the blocks were found')

  const scratch = makeScratch(t)
  const contents = () => new Map(globSync('{src,test,docs,clients}/**/*', { cwd: scratch.dir, withFileTypes: true }).filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name)).concat(['.env.example', 'README.md', 'CHANGELOG.md', 'template.yaml'].map(scratch.path)).map(path => [path, readFileSync(path, 'latin1')]))
  const untouched = contents()
  const dir = t.testdir({ data: {}, home: {} })
  const dataDir = join(dir, 'data')
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TAP')))
  const options = { home: join(dir, 'home'), env: { ...own, LOCAL_DATA_DIR: dataDir }, timeoutMs: PATIENCE }

  // Started before the first command that needs it, and again after a change of the code.
  let running: Awaited<ReturnType<typeof start>> | undefined
  let isStale = false
  async function upToDate () {
    if (running !== undefined && !isStale) return running
    const port = running === undefined ? '0' : new URL(running.api).port
    if (running !== undefined) await stop(running.process)
    isStale = false
    running = await start(t, dataDir, { cwd: scratch.dir, port })
    return running
  }
  let terminal: ReturnType<typeof openShell> | undefined
  let output = ''
  for (const { language, text } of blocks) {
    if (language === 'diff') {
      execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: scratch.dir, input: text })
      isStale = true
    } else if (language === 'json') {
      t.match(output, pattern(text.trim()))
    } else if (language === 'text') {
      t.equal(output.split('\n').at(-1), text.trim())
    } else {
      const urls = text.includes('$api') ? await upToDate() : { api: 'http://localhost:1', inbox: 'http://localhost:1' }
      if (running !== undefined) terminal ??= openShell(t, scratch.dir, urls, options)
      const run = terminal ?? openShell(t, scratch.dir, urls, options)
      output = await run(text.trim())
    }
    // The test of the rule comes before the rule, and fails.
    if (language === 'diff' && text.includes('+++ b/test/') && !text.includes('+++ b/src/')) {
      const { status, output: failure } = await scratch.run(['test/modules/orders/orders.test.ts'])
      t.not(status, 0)
      t.match(failure, /not ok .*an order is deleted within an hour, and not later/)
    }
    // At its end the module is as green as at its beginning: what the page does not run is run here.
    if (text.startsWith('npm run openapi')) {
      for (const args of [TYPES, ['test/template/tables.test.ts'], ['test/docs/errors.test.ts']]) {
        const { status, output } = await scratch.run(args)
        t.equal(status, 0, `${args.join(' ')}: ${status === 0 ? 'passes' : failuresIn(output)}`)
      }
    }
  }
  await stop(running!.process)
  const left = contents()
  t.same([...new Set([...untouched.keys(), ...left.keys()])].filter(path => untouched.get(path) !== left.get(path)), [], 'everything is as before')
})
