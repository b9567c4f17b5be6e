import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { CodeDeployClient, ListDeploymentGroupsCommand, ListDeploymentsCommand, StopDeploymentCommand } from '@aws-sdk/client-codedeploy'
import { GetAliasCommand, LambdaClient, ListVersionsByFunctionCommand, UpdateAliasCommand } from '@aws-sdk/client-lambda'
import { setTimeout as sleep } from 'node:timers/promises'
import { confirm, Failure, progress, required, runCommand, UsageError } from './command.ts'
import { outputsOf } from './stack-outputs.ts'
import { findStack } from './stack.ts'

const HELP = `npm run rollback -- status | start | end: serves an earlier release within seconds.

  status   which version each function serves, and which one CloudFormation knows
  start    a deployment that runs is stopped, and undoes itself; otherwise the functions serve the version before
  end      the functions serve the version that CloudFormation knows, so that the next deployment does not fail

  --stack NAME   the stack
  --to VERSION   start: the version to serve, of the API function; without it the one before
  --wait         end: waits until the next deployment has begun, so that the bad release serves as briefly as possible
  --dry-run      says what would be done, and changes nothing
  --yes          does not ask

CodeDeploy fails a deployment whose alias is not at the version that CloudFormation knows. So start is half of a rollback:
deploy a good commit, with end just before. "Roll back" in the runbook has the steps.
`

const ALIAS = 'live'

/** A function that is deployed through its alias. */
interface Release {
  name: string
  /** what the alias serves */
  serves: string
  /** weights of other versions, while a canary shifts */
  isShifting: boolean
  revisionId: string
  /** the version of the last complete update, which CloudFormation passes to CodeDeploy as the current one */
  known: string
  /** published versions, oldest first */
  versions: string[]
}

type Outputs = Record<'ApiFunctionVersion' | 'DeploymentApplication', string> & { EmailFunctionVersion?: string }

interface Clients { cloudformation: CloudFormationClient, lambda: LambdaClient, codedeploy: CodeDeployClient }

/** `arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION` */
const partsOf = (arn: string) => { const [, , , , , , name = '', version = ''] = arn.split(':'); return { name, version } }

async function versionsOf ({ lambda }: Clients, name: string): Promise<string[]> {
  const found: string[] = []
  let Marker: string | undefined
  do {
    const page = await lambda.send(new ListVersionsByFunctionCommand({ FunctionName: name, Marker }))
    found.push(...(page.Versions ?? []).map(({ Version }) => Version!).filter(version => version !== '$LATEST'))
    Marker = page.NextMarker
  } while (Marker !== undefined)
  return found.sort((a, b) => Number(a) - Number(b))
}

/** The functions of a stack with what they serve, the API function first. */
async function releasesOf (clients: Clients, outputs: Outputs): Promise<Release[]> {
  // Outputs are those of the last update that was complete.
  const arns = [outputs.ApiFunctionVersion, ...(outputs.EmailFunctionVersion === undefined ? [] : [outputs.EmailFunctionVersion])]
  return await Promise.all(arns.map(async (arn) => {
    const { name, version } = partsOf(arn)
    const [{ FunctionVersion, RoutingConfig, RevisionId }, versions] = await Promise.all([
      clients.lambda.send(new GetAliasCommand({ FunctionName: name, Name: ALIAS })),
      versionsOf(clients, name)
    ])
    return { name, serves: FunctionVersion!, isShifting: Object.keys(RoutingConfig?.AdditionalVersionWeights ?? {}).length > 0, revisionId: RevisionId!, known: version, versions }
  }))
}

/** Deployments that run, of the stack's groups. */
async function runningDeployments ({ codedeploy }: Clients, { DeploymentApplication: applicationName }: Outputs): Promise<string[]> {
  const { deploymentGroups = [] } = await codedeploy.send(new ListDeploymentGroupsCommand({ applicationName }))
  const pages = await Promise.all(deploymentGroups.map(deploymentGroupName =>
    codedeploy.send(new ListDeploymentsCommand({ applicationName, deploymentGroupName, includeOnlyStatuses: ['Created', 'Queued', 'InProgress', 'Ready'] }))))
  return pages.flatMap(({ deployments = [] }) => deployments)
}

async function point ({ lambda }: Clients, { name, revisionId }: Release, version: string): Promise<void> {
  // Conditional: a deployment may begin at this moment.
  await lambda.send(new UpdateAliasCommand({ FunctionName: name, Name: ALIAS, FunctionVersion: version, RoutingConfig: { AdditionalVersionWeights: {} }, RevisionId: revisionId }))
  console.log(`${name}: serves version ${version}`)
}

function status (releases: Release[], running: string[]): void {
  for (const { name, serves, known, isShifting, versions } of releases) {
    console.log(`${name}: serves version ${serves}${serves === known ? '' : `, and CloudFormation knows ${known}: run end before the next deployment`}${isShifting ? ', and shifts to another one' : ''}; published: ${versions.slice(-5).join(' ')}`)
  }
  for (const id of running) console.log(`the deployment ${id} runs`)
}

async function start (clients: Clients, releases: Release[], running: string[], { to, isDry, isAgreed }: { to: string | undefined, isDry: boolean, isAgreed: boolean }): Promise<void> {
  if (running.length > 0) {
    if (to !== undefined) throw new UsageError('A deployment runs: start stops it, and --to has no place there')
    if (isDry) return console.log(`Would stop the deployment ${running.join(' and ')}. Nothing was changed`)
    if (!await confirm(`Stop the deployment ${running.join(' and ')}?`, isAgreed)) return console.log('Nothing was changed')
    for (const deploymentId of running) await clients.codedeploy.send(new StopDeploymentCommand({ deploymentId, autoRollbackEnabled: true }))
    return console.log('Stopped. CodeDeploy serves the version before, and CloudFormation undoes the update: nothing else is to be done')
  }
  const steps = releases.map((release, i) => {
    const before = release.versions.filter(version => Number(version) < Number(release.serves)).at(-1)
    const version = i === 0 && to !== undefined ? to : before
    if (version === undefined || !release.versions.includes(version)) throw new UsageError(`${release.name} has no version ${version ?? 'before'}; published: ${release.versions.join(' ')}`)
    return { release, version }
  })
  const plan = steps.map(({ release, version }) => `${release.name} from version ${release.serves} to ${version}`).join(', ')
  if (isDry) return console.log(`Would move ${plan}. Nothing was changed`)
  if (!await confirm(`Move ${plan}?`, isAgreed)) return console.log('Nothing was changed')
  for (const { release, version } of steps) await point(clients, release, version)
  console.log('CloudFormation does not know of this. The next deployment fails unless `npm run rollback -- end` comes just before it.')
}

/** Seconds between two looks at the stack. */
const POLL = 1

async function end (clients: Clients, stack: string, releases: Release[], { isDry, isAgreed, isWaiting }: { isDry: boolean, isAgreed: boolean, isWaiting: boolean }): Promise<void> {
  const moved = releases.filter(({ serves, known, isShifting }) => serves !== known || isShifting)
  if (moved.length === 0) return console.log('Each function serves the version that CloudFormation knows: nothing is to be done')
  const plan = moved.map(({ name, serves, known }) => `${name} from version ${serves} to ${known}`).join(', ')
  if (isDry) return console.log(`Would move ${plan}. Nothing was changed`)
  if (!await confirm(`Move ${plan}?`, isAgreed)) return console.log('Nothing was changed')
  if (isWaiting) {
    const report = progress()
    console.log('Waiting for the deployment: run npm run deploy now')
    for (;;) {
      const found = await findStack(clients.cloudformation, stack)
      if (found?.status === 'UPDATE_IN_PROGRESS') break
      report(`the stack is ${found?.status ?? 'gone'}, and no deployment has begun`)
      await sleep(POLL * 1000)
    }
  }
  for (const release of moved) await point(clients, release, release.known)
}

await runCommand({
  help: HELP,
  verbs: ['status', 'start', 'end'] as const,
  options: { stack: { type: 'string' }, to: { type: 'string' }, wait: { type: 'boolean' }, 'dry-run': { type: 'boolean' }, yes: { type: 'boolean' } },
  async run (verb, options) {
    const stack = required(options['stack'] as string | undefined, 'stack', 'the name of the stack')
    const clients = { cloudformation: new CloudFormationClient({}), lambda: new LambdaClient({}), codedeploy: new CodeDeployClient({}) }
    try {
      const outputs: Outputs = await outputsOf(stack, ['ApiFunctionVersion', 'DeploymentApplication'])
      const [releases, running] = await Promise.all([releasesOf(clients, outputs), runningDeployments(clients, outputs)])
      const given = { isDry: options['dry-run'] === true, isAgreed: options['yes'] === true }
      if (verb === 'status') return status(releases, running)
      if (verb === 'start') return await start(clients, releases, running, { ...given, to: options['to'] as string | undefined })
      if (running.length > 0) throw new Failure('A deployment runs: it moves the functions itself')
      await end(clients, stack, releases, { ...given, isWaiting: options['wait'] === true })
    } finally {
      for (const client of Object.values(clients)) client.destroy()
    }
  }
})
