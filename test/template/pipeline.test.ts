import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { releaseOf } from '../../scripts/deploy.ts'

const DIRECTORY = '.github/workflows'

interface Job { uses?: string, needs?: string, environment?: string, permissions?: Record<string, string>, with?: { stage?: string }, steps?: { if?: string, uses?: string, run?: string, with?: Record<string, unknown> }[] }
interface Workflow { on: object, permissions: Record<string, string>, jobs: Record<string, Job> }

const workflows = Object.fromEntries(readdirSync(DIRECTORY).map(file => {
  const text = readFileSync(join(DIRECTORY, file), 'utf8')
  return [file, { text, workflow: parse(text) as Workflow }]
}))

/** Actions whose tag can be moved, and keys that would have to be stored. */
function faultsOf (text: string): string[] {
  const uses = [...text.matchAll(/uses: (\S+)(.*)$/gm)]
  return [
    ...uses.filter(([, action = '', comment = '']) => !action.startsWith('./') && !(/@[0-9a-f]{40}$/.test(action) && /^ # v\d+\.\d+\.\d+$/.test(comment))).map(([, action]) => `${action!} is not pinned by its hash, with its version beside it`),
    ...(/aws-(?:access-key-id|secret-access-key)|secrets\./.test(text) ? ['a key is stored'] : [])
  ]
}

t.test('every action is pinned by its hash, and no key is stored', async t => {
  t.ok(Object.values(workflows).flatMap(({ text }) => [...text.matchAll(/uses: \S+@/g)]).length >= 8, 'actions were looked at')
  for (const [file, { text }] of Object.entries(workflows)) t.strictSame(faultsOf(text), [], file)
  t.strictSame(faultsOf('- uses: actions/checkout@v4\n- with: { aws-access-key-id: x }\n'), ['actions/checkout@v4 is not pinned by its hash, with its version beside it', 'a key is stored'])
})

t.test('an action has one hash wherever it is used', async t => {
  const hashes = new Map<string, Set<string>>()
  for (const { text } of Object.values(workflows)) for (const [, name = '', hash = ''] of text.matchAll(/uses: ([\w/-]+)@([0-9a-f]{40})/g)) hashes.set(name, (hashes.get(name) ?? new Set()).add(hash))
  for (const [name, set] of hashes) t.equal(set.size, 1, name)
})

t.test('a stage is deployed after the one before it, prod last, with the role of its own environment', async t => {
  const { jobs } = workflows['deploy.yml']!.workflow
  t.match(jobs, {
    check: { uses: './.github/workflows/check.yml' },
    dev: { needs: 'check', with: { stage: 'dev' } },
    staging: { needs: 'dev', with: { stage: 'staging' } },
    prod: { needs: 'staging', with: { stage: 'prod' } }
  })
  const { permissions, jobs: { deploy } } = workflows['stage.yml']!.workflow
  t.match(permissions, { 'id-token': 'write', contents: 'read' })
  t.equal(deploy!.environment, `\${{ inputs.stage }}`) // eslint-disable-line @stylistic/quotes -- GitHub's own braces
  const steps = deploy!.steps!.map(({ run = '' }) => run)
  const deployed = steps.findIndex(run => run.includes('npm run deploy'))
  t.ok(deployed > 0 && steps.findIndex(run => run.includes('npm run test:integration -- --stage')) > deployed, 'what was deployed is tested from outside, where its stack says that it answers')
  const drift = deploy!.steps!.find(({ run = '' }) => run.includes('npm run drift'))!
  t.ok(deploy!.steps!.indexOf(drift) < deployed, 'what was changed by hand stops a deployment before it starts')
  t.equal(drift.if, "inputs.stage == 'prod' && vars.ACCEPT_DRIFT != 'true'")
  t.notOk(steps.some(run => run.includes('npm run build')), 'a stage deploys the artifact that was checked, and builds none')
})

t.test('a release is another one when the artifact, the template, the smoke test or a parameter is', async t => {
  const root = mkdtempSync(join(tmpdir(), 'release-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'dist/lambda/openapi'), { recursive: true })
  for (const file of ['template.yaml', 'samconfig.toml', 'hooks']) cpSync(file, join(root, file), { recursive: true })
  for (const file of ['dist/lambda/index.mjs', 'dist/lambda/openapi/v2.json']) writeFileSync(join(root, file), '1')
  const first = releaseOf(root)
  t.match(first, /^[0-9a-f]{64}$/)
  t.equal(releaseOf(root), first, 'and the same one when nothing is')
  const seen = new Set([first])
  for (const added of [{ PublicUrl: 'https://a.example' }, { PublicUrl: 'https://b.example' }]) {
    const release = releaseOf(root, added)
    t.notOk(seen.has(release), 'a parameter that npm run deploy adds')
    seen.add(release)
  }
  for (const file of ['template.yaml', 'samconfig.toml', 'hooks/smoke/index.mjs', 'dist/lambda/index.mjs', 'dist/lambda/openapi/v2.json']) {
    writeFileSync(join(root, file), `${readFileSync(join(root, file), 'utf8')} `)
    const release = releaseOf(root)
    t.notOk(seen.has(release), file)
    seen.add(release)
  }
})

t.test('the name of the API, which is a CNAME, is not the domain of the mails, which has other records', async t => {
  const settings = readFileSync(new URL('../../samconfig.toml', import.meta.url), 'utf8')
  const valuesOf = (name: string) => [...settings.matchAll(new RegExp(`"${name}=([^"]+)"`, 'g'))].map(([, value]) => value!)
  const [domains, identities] = [valuesOf('DomainName'), valuesOf('SesIdentity')]
  t.ok(domains.length > 0 && identities.length > 0)
  t.same(domains.filter(domain => identities.includes(domain)), [])
})
