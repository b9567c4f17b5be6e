import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { parseTemplate } from '../local/template.ts'
import { addCodeCache, type CacheRequest, type MadeCache } from './code-cache.ts'
import { errorLine } from './error-line.ts'
import { protect } from './protection.ts'
import { addressOf, findStack, missingRecord, type FoundStack } from './stack.ts'
import { bootstrapOf, readStage, STAGES } from './stage.ts'

const ROOT = join(import.meta.dirname, '..')

/**
 * Hash of all inputs of a deployment: the artifact, the smoke test, the template, every stage's parameters, and those that this
 * script adds. SAM publishes a version for each new hash. Without it, the alias would stay on a version with the old value when
 * only a parameter has changed. Of a code cache the name counts, which says for what it is: two caches of one script differ.
 *
 * @returns SHA-256, hex
 */
export function releaseOf (root: string, added: Record<string, string> = {}): string {
  const hash = createHash('sha256').update(JSON.stringify(added))
  const files = ['template.yaml', 'samconfig.toml', ...['dist/lambda', 'hooks'].flatMap(directory =>
    readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1)))]
  for (const file of files.sort()) {
    const content = file.replaceAll('\\', '/').startsWith('dist/lambda/code-cache/') ? '' : readFileSync(join(root, file))
    hash.update(`${file.replaceAll('\\', '/')}\n${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}

/** Makes a code cache with a function of the stack. */
async function invokeForCache (lambda: LambdaClient, name: string, request: CacheRequest): Promise<MadeCache> {
  const { FunctionError, Payload } = await lambda.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(request) }))
  const answer = JSON.parse(Buffer.from(Payload!).toString()) as MadeCache | { errorMessage: string }
  if (FunctionError !== undefined || !('cache' in answer)) throw new Error(`${name} has failed: ${'errorMessage' in answer ? answer.errorMessage : FunctionError}`)
  return answer
}

/** Why nothing is deployed, in one line that says what to do. */
export class DeployError extends Error {}

interface Template {
  Parameters: Record<string, { Default?: string | number }>
  Resources: Record<string, { Type: string }>
}

export interface Deployment {
  root: string
  /** name of the stage */
  stage: string
  /** further options of `sam deploy` */
  options?: string[]
  cloudformation: CloudFormationClient
  /** runs `sam` with these arguments in the root; resolves to its exit code */
  sam: (args: string[]) => number | Promise<number>
  print: (line: string) => void
  /** makes a code cache with a function of this name */
  makeCache: (functionName: string, request: CacheRequest) => Promise<MadeCache>
  /** whether a host name has an address */
  resolves?: (host: string) => Promise<boolean>
}

/** A failed operation has left the stack in a state that no deployment can change. */
function refuseBroken (stack: string, { status, reason }: FoundStack): void {
  const advice = 'docs/deployment.md#a-failed-deployment says what to do'
  if (/^(?:ROLLBACK_(?:COMPLETE|FAILED)|CREATE_FAILED|DELETE_FAILED)$/.test(status)) throw new DeployError(`The creation of ${stack} has failed (${status}), and a new one needs this stack deleted: ${advice}${reason === '' ? '' : `. ${reason}`}`)
  if (status === 'UPDATE_ROLLBACK_FAILED') throw new DeployError(`The last deployment of ${stack} could not be rolled back (${status}): ${advice}`)
  if (status.endsWith('_IN_PROGRESS')) throw new DeployError(`${stack} is being changed (${status}): deploy when that has ended`)
}

/**
 * Deploys the artifact to a stage. The first deployment takes two steps: the stack is created, and then gets its protection and, when it
 * has no domain, its own address, which is not known earlier.
 *
 * @returns an exit code
 * @throws DeployError
 */
export async function deploy ({ root, stage: name, options = [], cloudformation, sam, print, makeCache, resolves }: Deployment): Promise<number> {
  const stage = readStage(root, name)
  const bootstrap = (await findStack(cloudformation, bootstrapOf(stage.stack)))?.outputs
  const { ArtifactBucket: bucket, ExecutionRoleArn: role, PermissionsBoundaryArn: boundary, CodeSigningConfigArn: signatures, SigningProfileName: profile } = bootstrap ?? {}
  if (bucket === undefined || role === undefined || boundary === undefined) throw new DeployError(`There is no stack ${bootstrapOf(stage.stack)} in ${stage.region}: deploy bootstrap.yaml first, see docs/deployment.md#bootstrap`)

  const template = parseTemplate(readFileSync(join(root, 'template.yaml'), 'utf8')) as unknown as Template
  const isProtected = name !== 'dev'
  const hasAddress = 'PublicUrl' in stage.parameters || 'DomainName' in stage.parameters

  /** Adds a code cache from the runtime of the stack. It is a gain, and no deployment depends on it. */
  async function cacheCode (name: string | undefined): Promise<void> {
    if (name === undefined) return print('without a code cache: the stack has no function yet that makes one. Cold starts take half as much CPU again until the next deployment')
    try {
      print(`with a code cache for Node ${await addCodeCache(join(root, 'dist/lambda'), request => makeCache(name, request))}`)
    } catch (error) {
      print(`without a code cache, so cold starts take half as much CPU again: ${(error as Error).message}`)
    }
  }

  async function step (before: FoundStack | undefined): Promise<number> {
    const address = hasAddress ? undefined : before?.outputs['ApiUrl']
    const added = {
      PermissionsBoundaryArn: boundary!,
      CodeSigningConfigArn: signatures ?? '',
      ...(address === undefined ? {} : { PublicUrl: address })
    }
    const release = releaseOf(root, added)
    // samconfig.toml lists this file first, so what it sets itself wins. Every other parameter is here with the template's
    // default: SAM would keep the value of the last deployment, and a removed line or a changed default would have no effect.
    const defaults = Object.entries(template.Parameters).filter(([, { Default }]) => Default !== undefined).map(([key, { Default }]) => [key, String(Default)])
    const parameters = { ...Object.fromEntries(defaults) as Record<string, string>, ...added, Release: release, FirstDeployment: String(before === undefined) }
    writeFileSync(join(root, 'dist/release.yaml'), stringify(parameters, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' }))
    print(`release ${release.slice(0, 10)} to ${name}`)
    const functions = Object.entries(template.Resources).filter(([, { Type }]) => Type === 'AWS::Serverless::Function' || Type === 'AWS::Lambda::Function').map(([id]) => id)
    return await sam([
      'deploy', '--config-env', name, '--s3-bucket', bucket!, '--role-arn', role!,
      ...(profile === undefined ? [] : ['--signing-profiles', ...functions.map(id => `${id}=${profile}`)]),
      ...options
    ])
  }

  const before = await findStack(cloudformation, stage.stack)
  if (before !== undefined) refuseBroken(stage.stack, before)
  await cacheCode(before?.outputs['CodeCacheFunctionName'])
  let code = await step(before)
  if (code === 0 && options.includes('--no-execute-changeset')) return 0
  let after = await findStack(cloudformation, stage.stack)
  // The address of the API is new when the stack is, and when the kind of API has changed.
  const isFirst = before === undefined
  const lacksAddress = !hasAddress && after?.outputs['PublicUrl'] !== after?.outputs['ApiUrl']
  if (code === 0 && after !== undefined && ((isFirst && isProtected) || lacksAddress)) {
    print(`${stage.stack} exists: deploying once more, now ${[...(isFirst && isProtected ? ['with protected tables'] : []), ...(lacksAddress ? ['with its address'] : [])].join(' and ')}`)
    code = await step(after)
    after = await findStack(cloudformation, stage.stack)
  }
  if (code !== 0) {
    if (after !== undefined) refuseBroken(stage.stack, after)
    return code
  }
  if (after === undefined) throw new DeployError(`sam has reported success, and there is no stack ${stage.stack} in ${stage.region}`)
  if (isProtected) for (const what of await protect(cloudformation, stage.stack)) print(`${what} is on`)

  print(`${stage.stack} answers at ${addressOf(after)}`)
  const missing = await missingRecord(after, resolves)
  if (missing !== undefined) print(missing)
  return 0
}

const HELP = `npm run deploy -- ${STAGES.join('|')} [options of sam deploy]: deploys the artifact that npm run build wrote to dist/lambda,
with the stage's parameters of samconfig.toml, and prints where the stage answers. The first deployment takes two steps. Needs the
AWS SAM CLI, credentials, and the stage's stack of bootstrap.yaml.
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
  if (options.some(option => option.startsWith('--parameter-overrides'))) {
    console.error('--parameter-overrides would replace all of them: set parameters in samconfig.toml')
    process.exit(2)
  }
  if (!existsSync(join(ROOT, 'dist/lambda/index.mjs'))) {
    console.error('There is no artifact: run npm run build first')
    process.exit(1)
  }
  try {
    const { region } = readStage(ROOT, stage)
    const lambda = new LambdaClient({ region })
    process.exitCode = await deploy({
      root: ROOT,
      stage,
      options,
      cloudformation: new CloudFormationClient({ region }),
      makeCache: (name, request) => invokeForCache(lambda, name, request),
      sam: args => {
        const { status, error } = spawnSync('sam', args, { cwd: ROOT, stdio: 'inherit' })
        if (error !== undefined) throw new DeployError(`sam cannot be run (${error.message}): pip install aws-sam-cli`)
        return status ?? 1
      },
      print: line => { console.log(line) }
    })
  } catch (error) {
    console.error(error instanceof DeployError ? error.message : errorLine(error))
    process.exitCode = 1
  }
}
