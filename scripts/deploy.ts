import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const STAGES = ['dev', 'staging', 'prod']

/**
 * Hash of all inputs of a deployment: the artifact, the smoke test, the template and every stage's parameters. SAM
 * publishes a version for each new hash. Without it, the alias would stay on a version with the old value when only a
 * parameter has changed.
 *
 * @returns SHA-256, hex
 */
export function releaseOf (root: string): string {
  const hash = createHash('sha256')
  const files = ['template.yaml', 'samconfig.toml', ...['dist/lambda', 'hooks'].flatMap(directory =>
    readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1)))]
  for (const file of files.sort()) {
    const content = readFileSync(join(root, file))
    hash.update(`${file.replaceAll('\\', '/')}\n${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}

const HELP = `npm run deploy -- ${STAGES.join('|')} [options of sam deploy]: deploys the artifact that npm run build wrote to dist/lambda,
with the stage's parameters of samconfig.toml. Needs the AWS SAM CLI and credentials.
`

if (import.meta.main) {
  const [stage = '', ...options] = process.argv.slice(2)
  if (stage === '--help' || stage === '-h') {
    process.stdout.write(HELP)
    process.exit(0)
  }
  if (!STAGES.includes(stage)) {
    console.error(`Expected a stage: npm run deploy -- ${STAGES.join('|')} [options of sam deploy]`)
    process.exit(2)
  }
  if (!existsSync(join(ROOT, 'dist/lambda/index.mjs'))) {
    console.error('There is no artifact: run npm run build first')
    process.exit(1)
  }
  const release = releaseOf(ROOT)
  // samconfig.toml reads it from the environment, in addition to the stage's parameters.
  writeFileSync(join(ROOT, 'dist/release.yaml'), `Release: '${release}'\n`)
  console.log(`release ${release.slice(0, 10)} to ${stage}`)
  const { status, error } = spawnSync('sam', ['deploy', '--config-env', stage, ...options], { cwd: ROOT, stdio: 'inherit' })
  if (error !== undefined) console.error(`sam cannot be run (${error.message}): pip install aws-sam-cli`)
  process.exit(status ?? 1)
}
