import './require-node.cjs'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { readArguments, refuse } from './options.ts'
import { endOnSignals } from './signals.ts'

const HELP = `npm run release -- major|minor|patch [--dry-run]: makes the commit and the tag of a release. It pushes nothing.

The version of package.json is raised; what CHANGELOG.md has under "Unreleased" gets the version and the date; docs/released
gets the API documents, with which later ones are compared. Needs a clean main branch that has passed CI.

  --dry-run   prints the version and the notes, and changes nothing
`

const PARTS = ['major', 'minor', 'patch'] as const
type Part = typeof PARTS[number]

export function nextVersion (version: string, part: Part): string {
  const numbers = version.split('.').map(Number)
  const at = PARTS.indexOf(part)
  return numbers.map((number, i) => i < at ? number : i === at ? number + 1 : 0).join('.')
}

/** The notes of a version, or of "Unreleased"; empty when there are none. */
export function notesOf (changelog: string, name: string): string {
  const [, after = ''] = changelog.split(new RegExp(`^## \\[${name.replaceAll('.', '\\.')}\\].*$`, 'm'))
  return after.split(/^## \[/m)[0]!.trim()
}

/** The changelog with its unreleased notes under a version. */
export const releaseNotes = (changelog: string, version: string, date: string): string =>
  changelog.replace(/^## \[Unreleased\]$/m, `## [Unreleased]\n\n## [${version}] - ${date}`)

const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()

function fail (message: string): never {
  console.error(message)
  process.exit(1)
}

function main (): void {
  const { values: { 'dry-run': isDry = false }, positionals: [part, ...rest] } = readArguments(HELP, { 'dry-run': { type: 'boolean' } })
  if (!PARTS.includes(part as Part) || rest.length > 0) refuse(`Name one of ${PARTS.join(', ')}`)
  const read = (file: string) => readFileSync(file, 'utf8')
  const version = nextVersion((JSON.parse(read('package.json')) as { version: string }).version, part as Part)
  const changelog = read('CHANGELOG.md')
  const notes = notesOf(changelog, 'Unreleased')
  if (notes === '') fail('CHANGELOG.md has nothing under "Unreleased": write what clients and operators notice first')
  if (git('tag', '--list', `v${version}`) !== '') fail(`v${version} exists`)
  if (isDry) {
    console.log(`v${version}\n\n${notes}`)
    return
  }
  if (git('status', '--porcelain') !== '') fail('The work tree has changes: commit or stash them first')
  for (const file of ['package.json', 'package-lock.json']) {
    // In the lock file, the version of the project stands twice, before those of its packages.
    let left = file === 'package.json' ? 1 : 2
    writeFileSync(file, read(file).replace(/"version": "[^"]+"/g, found => left-- > 0 ? `"version": "${version}"` : found))
  }
  writeFileSync('CHANGELOG.md', releaseNotes(changelog, version, new Date().toISOString().slice(0, 10)))
  execFileSync(process.execPath, ['scripts/openapi.ts', '--release'], { stdio: 'inherit' })
  git('add', '--all')
  git('commit', '--quiet', '--message', `chore(release): ${version}`)
  git('tag', '--annotate', `v${version}`, '--message', `v${version}\n\n${notes}`, '--cleanup=verbatim')
  console.log(`v${version} is committed and tagged: git push --follow-tags publishes it, and .github/workflows/release.yml does the rest`)
}

if (import.meta.main) {
  endOnSignals() // all of it is one turn: only the programs that it runs are interrupted
  try {
    main()
  } catch (error) {
    const { signal, stderr, message } = error as Error & { signal?: string, stderr?: string }
    if (signal === 'SIGINT') process.exit(130)
    fail(`${(stderr ?? message).trim().split('\n')[0]}: git restore . undoes what was written`)
  }
}
