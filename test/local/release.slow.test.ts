import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nextVersion, notesOf } from '../../scripts/release.ts'

t.test('a version is raised at its part, and the parts after it begin again', async t => {
  t.equal(nextVersion('1.2.3', 'major'), '2.0.0')
  t.equal(nextVersion('1.2.3', 'minor'), '1.3.0')
  t.equal(nextVersion('1.2.3', 'patch'), '1.2.4')
})

t.test('a release in a copy: version, notes, documents, commit and tag; a second one without notes is refused', async t => {
  const copy = join(t.testdir({}), 'copy')
  const git = (...args: string[]) => execFileSync('git', ['-C', copy, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { encoding: 'utf8' }).trim()
  execFileSync('git', ['clone', '--quiet', '--no-tags', '.', copy])
  execFileSync('cp', ['-r', 'scripts', copy])
  execFileSync('ln', ['-s', join(process.cwd(), 'node_modules'), join(copy, 'node_modules')])
  git('config', 'user.name', 't')
  git('config', 'user.email', 't@example.com')
  git('add', '--all', '--', ':!node_modules')
  git('commit', '--quiet', '--allow-empty', '--message', 'test: a copy')
  git('config', 'core.excludesFile', join(copy, '.git/ignored'))
  execFileSync('sh', ['-c', `echo node_modules > ${join(copy, '.git/ignored')}`])
  const release = (...args: string[]) => spawnSync(process.execPath, ['scripts/release.ts', ...args], { cwd: copy, encoding: 'utf8' })
  const read = (file: string) => readFileSync(join(copy, file), 'utf8')
  const before = (JSON.parse(read('package.json')) as { version: string }).version
  const version = nextVersion(before, 'minor')
  const notes = notesOf(read('CHANGELOG.md'), 'Unreleased')

  const dry = release('minor', '--dry-run')
  t.equal(dry.status, 0)
  t.ok(dry.stdout.startsWith(`v${version}\n\n${notes.slice(0, 40)}`))
  t.equal(git('status', '--porcelain'), '', 'a dry run changes nothing')
  t.match(release('huge'), { status: 2, stderr: /^Name one of major, minor, patch/ })

  const made = release('minor')
  t.equal(made.status, 0, made.stderr)
  t.equal((JSON.parse(read('package.json')) as { version: string }).version, version)
  const lock = JSON.parse(read('package-lock.json')) as { version: string, packages: Record<string, { version: string }> }
  t.same([lock.version, lock.packages['']!.version], [version, version])
  t.equal(notesOf(read('CHANGELOG.md'), version), notes)
  t.equal(notesOf(read('CHANGELOG.md'), 'Unreleased'), '')
  for (const document of ['v1', 'v2']) t.equal(read(`docs/released/${document}.json`), read(`docs/openapi/${document}.json`))
  t.equal(git('log', '-1', '--format=%s'), `chore(release): ${version}`)
  t.equal(git('status', '--porcelain'), '')
  t.ok(git('tag', '--list', '--format=%(contents)', `v${version}`).includes('### Added'), 'the tag has the notes, headings included')

  t.match(release('patch'), { status: 1, stderr: /nothing under "Unreleased"/ })
})
