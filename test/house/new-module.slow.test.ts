import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { until } from '../until.ts'
import { differences, failuresIn, filesIn, makeScratch, TYPES } from './scratch.ts'

const NEW_MODULE = 'scripts/new-module.ts'

t.test('a name of two words, in types, routes, variables and sentences', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  t.equal((await scratch.run([NEW_MODULE, 'price-lists'])).status, 0)
  const source = scratch.read('src/modules/price-lists/index.ts')
  t.match(source, "apiDocs.tag({ name: 'price-lists', description: 'Price lists of users' })")
  for (const args of [TYPES, ...['modules/price-lists/price-lists', 'contract/contract'].map(file => [`test/${file}.test.ts`])]) {
    const { status, output } = await scratch.run(args)
    t.equal(status, 0, `${args.join(' ')}: ${status === 0 ? 'passes' : failuresIn(output)}`)
  }
})

t.test('when a step fails, or the command is stopped, all files are as before', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  writeFileSync(scratch.path('scripts/client.ts'), "console.error('no client today')\nprocess.exit(1)\n")
  const before = filesIn(scratch)
  const failed = await scratch.run([NEW_MODULE, 'orders'])
  t.match(failed, { status: 1, output: /npm run client failed, so all files are as they were before:\nno client today\n$/ })
  t.same(differences(before, filesIn(scratch)), [])

  // Stopped while documents are half written.
  writeFileSync(scratch.path('scripts/openapi.ts'), "import { rmSync } from 'node:fs'\nrmSync('docs/schemas', { recursive: true })\nsetTimeout(() => {}, 60_000)\n")
  const half = filesIn(scratch)
  const child = spawn(process.execPath, [NEW_MODULE, 'orders'], { cwd: scratch.dir, stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  await until(() => !filesIn(scratch).has('docs/schemas/user.deleted.v1.json'), { timeoutMs: 30_000 })
  child.kill('SIGINT')
  const [[status], errors] = await Promise.all([once(child, 'exit'), text(child.stderr)])
  t.match({ status, errors }, { status: 130, errors: 'Stopped. All files are as they were before\n' })
  t.same(differences(half, filesIn(scratch)), [])

  // A file that looks different.
  scratch.edit({ 'template.yaml': [['              - Sid: QueueMails\n', '              - Sid: SendToTheQueue\n']] })
  const other = filesIn(scratch)
  const refused = await scratch.run([NEW_MODULE, 'orders'])
  t.match(refused, { status: 1, output: 'template.yaml: "- Sid: QueueMails" is there no more. Nothing was changed; scripts/new-module/edits.ts says where the text belongs\n' })
  t.same(differences(other, filesIn(scratch)), [])
})

t.test('files with changes that are not committed are left alone', { timeout: 600_000 }, async t => {
  const scratch = makeScratch(t)
  const git = async (...args: string[]) => {
    const child = spawn('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args], { cwd: scratch.dir, stdio: 'ignore' })
    t.equal((await once(child, 'exit'))[0], 0, `git ${args.join(' ')}`)
  }
  await git('init', '--quiet')
  await git('add', 'src', 'docs', 'template.yaml', 'test', 'CHANGELOG.md')
  await git('commit', '--quiet', '--message', 'all')
  writeFileSync(scratch.path('src/app.ts'), `${scratch.read('src/app.ts')}\n// unfinished\n`)
  const before = filesIn(scratch)
  const refused = await scratch.run([NEW_MODULE, 'orders'])
  t.match(refused, { status: 1, output: 'Files that would be changed have changes that are not committed (src/app.ts). Commit or stash them, or add --force\n' })
  t.same(differences(before, filesIn(scratch)), [])
})
