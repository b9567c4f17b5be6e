import { DescribeSecretCommand, GetRandomPasswordCommand, ListSecretVersionIdsCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { setTimeout as sleep } from 'node:timers/promises'
import { confirm, Failure, progress, runCommand, UsageError } from './command.ts'
import { outputsOf } from './stack-outputs.ts'

const HELP = `npm run secrets -- status | rotate: the secrets of a stack. No value of a secret is ever shown.

  status   when each secret was rotated, and when it will be
  rotate   makes a new version. The one before stays valid: no user is signed out, nothing has to be restarted

  --stack NAME     the stack; without it JWT_SECRET_ARN and CODE_SECRET_ARN name the secrets, and PUBLIC_URL the service
  --secret WHICH   root (signs access tokens; the default), code (codes in mails) or all
  --leaked         rotates twice at once, so that neither version that was valid remains so. Running instances notice within
                   a minute; then the published keys are looked at. Access tokens end, and clients refresh them
  --dry-run        says what would be done, and changes nothing
  --yes            does not ask

Two rotations must be an hour apart, except after a leak. Exit code 1: refused, or the keys before are still published.
`

const WHICH = ['root', 'code'] as const
type Which = typeof WHICH[number]
const VARIABLE = { root: 'JWT_SECRET_ARN', code: 'CODE_SECRET_ARN' } as const

/** Milliseconds between two rotations. While Secrets Manager cannot be reached, instances rely on them (ADR 52). */
const APART = 3_600_000
/** Seconds after which every instance that reaches Secrets Manager has the new version (plugins/keys). */
const NOTICED = 60
/** Seconds for which published keys are looked at before they count as not replaced: the instance that answers may have waited for its minute. */
const PUBLISHED = 2 * NOTICED

interface Target { arns: Record<Which, string>, publicUrl: string | undefined }

async function targetOf (stack: string | undefined): Promise<Target> {
  if (stack !== undefined) {
    const { RootSecretArn, CodeSecretArn, PublicUrl } = await outputsOf(stack, ['RootSecretArn', 'CodeSecretArn', 'PublicUrl'])
    return { arns: { root: RootSecretArn, code: CodeSecretArn }, publicUrl: PublicUrl }
  }
  const { JWT_SECRET_ARN, CODE_SECRET_ARN, PUBLIC_URL } = process.env
  if (!JWT_SECRET_ARN || !CODE_SECRET_ARN) throw new UsageError(`--stack is missing: the name of the stack, or set ${VARIABLE.root} and ${VARIABLE.code}`)
  return { arns: { root: JWT_SECRET_ARN, code: CODE_SECRET_ARN }, publicUrl: PUBLIC_URL || undefined }
}

function ageOf (since: Date): string {
  const minutes = Math.floor((Date.now() - since.getTime()) / 60_000)
  if (minutes < 60) return `${minutes} min ago`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} days ago`
}

async function stateOf (client: SecretsManagerClient, arn: string) {
  const [{ VersionIdsToStages = {}, NextRotationDate, RotationEnabled }, { Versions = [] }] = await Promise.all([
    client.send(new DescribeSecretCommand({ SecretId: arn })),
    client.send(new ListSecretVersionIdsCommand({ SecretId: arn }))
  ])
  const stageOf = (stage: string) => Object.entries(VersionIdsToStages).find(([, stages]) => stages.includes(stage))?.[0]
  const current = stageOf('AWSCURRENT')
  const pending = stageOf('AWSPENDING')
  return {
    rotatedAt: Versions.find(({ VersionId }) => VersionId === current)?.CreatedDate,
    hasPrevious: stageOf('AWSPREVIOUS') !== undefined,
    isUnfinished: pending !== undefined && pending !== current,
    next: RotationEnabled === true ? NextRotationDate : undefined
  }
}

async function status (client: SecretsManagerClient, arns: Record<Which, string>): Promise<void> {
  for (const which of WHICH) {
    const { rotatedAt, hasPrevious, isUnfinished, next } = await stateOf(client, arns[which])
    console.log(`${which}  ${rotatedAt === undefined ? 'has no version' : `${hasPrevious ? 'rotated' : 'made'} ${rotatedAt.toISOString()}, ${ageOf(rotatedAt)}`}; ${next === undefined ? 'no schedule' : `next rotation by ${next.toISOString()}`}${isUnfinished ? '; a scheduled rotation is not finished' : ''}`)
  }
}

/** The ids of the published keys. */
async function publishedKeys (publicUrl: string): Promise<string[]> {
  const answer = await fetch(`${publicUrl}/.well-known/jwks.json`, { headers: { 'cache-control': 'no-cache' }, signal: AbortSignal.timeout(5000) })
  const { keys } = await answer.json() as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}

/** Answers in a row without a key that was published before: they come from different instances. */
const IN_A_ROW = 5

async function awaitNewKeys (publicUrl: string, before: string[]): Promise<void> {
  const report = progress()
  const deadline = Date.now() + PUBLISHED * 1000
  for (let good = 0; good < IN_A_ROW;) {
    const isNew = await publishedKeys(publicUrl).then(keys => !keys.some(kid => before.includes(kid)), () => false)
    good = isNew ? good + 1 : 0
    if (!isNew && Date.now() > deadline) throw new Failure(`Rotated, but ${publicUrl} still publishes a key from before, or does not answer. Do its instances reach Secrets Manager? If not, they keep the leaked key: deploy again`)
    report('waiting until no instance publishes a key from before …')
    await sleep(isNew ? 200 : 1000)
  }
  console.log('The published keys are new.')
}

async function putNewVersion (client: SecretsManagerClient, SecretId: string): Promise<void> {
  // As the template makes the first one.
  const { RandomPassword } = await client.send(new GetRandomPasswordCommand({ PasswordLength: 64, ExcludePunctuation: true }))
  await client.send(new PutSecretValueCommand({ SecretId, SecretString: RandomPassword }))
}

interface RotateOptions { which: readonly Which[], isLeaked: boolean, isDry: boolean, isAgreed: boolean }

async function rotate (client: SecretsManagerClient, { arns, publicUrl }: Target, { which, isLeaked, isDry, isAgreed }: RotateOptions): Promise<void> {
  for (const one of which) {
    const { rotatedAt } = await stateOf(client, arns[one])
    const wait = rotatedAt === undefined ? 0 : rotatedAt.getTime() + APART - Date.now()
    if (wait > 0 && !isLeaked) throw new Failure(`The ${one} secret was made or rotated ${ageOf(rotatedAt!)}. Instances rely on an hour between two rotations: wait ${Math.ceil(wait / 60_000)} min, or pass --leaked if it has leaked`)
  }
  const what = `${which.map(one => `the ${one} secret`).join(' and ')} ${isLeaked ? 'twice: every access token, code and cursor made until now ends' : 'once: the version before stays valid'}`
  if (isDry) return console.log(`Would rotate ${what}. Nothing was changed`)
  if (!await confirm(`Rotate ${what}?`, isAgreed)) return console.log('Nothing was changed')
  const isWatched = isLeaked && which.includes('root') && publicUrl !== undefined
  const before = isWatched ? await publishedKeys(publicUrl).catch(() => undefined) : undefined
  for (const one of which) {
    for (let i = 0; i < (isLeaked ? 2 : 1); i++) await putNewVersion(client, arns[one])
    console.log(`${one}: rotated${isLeaked ? ' twice' : ''}, ${new Date().toISOString()}`)
  }
  if (!isLeaked) return
  console.log(`No instance that reaches Secrets Manager accepts the versions before after ${new Date(Date.now() + NOTICED * 1000).toISOString()}. APIs behind the authorizer: two minutes later.`)
  if (!isWatched) return
  if (before === undefined) throw new Failure(`Rotated, but ${publicUrl} did not answer, so its keys could not be compared`)
  await awaitNewKeys(publicUrl, before)
}

await runCommand({
  help: HELP,
  verbs: ['status', 'rotate'] as const,
  options: { stack: { type: 'string' }, secret: { type: 'string' }, leaked: { type: 'boolean' }, 'dry-run': { type: 'boolean' }, yes: { type: 'boolean' } },
  async run (verb, options) {
    const secret = String(options['secret'] ?? 'root')
    if (secret !== 'all' && !(WHICH as readonly string[]).includes(secret)) throw new UsageError('--secret is one of root, code, all')
    const target = await targetOf(options['stack'] as string | undefined)
    const client = new SecretsManagerClient({})
    try {
      if (verb === 'status') return await status(client, target.arns)
      await rotate(client, target, { which: secret === 'all' ? WHICH : [secret as Which], isLeaked: options['leaked'] === true, isDry: options['dry-run'] === true, isAgreed: options['yes'] === true })
    } finally {
      client.destroy()
    }
  }
})
