import type { FastifyBaseLogger } from 'fastify'
import { isErrorNamed } from '../../shared/aws-errors.ts'
import { Unavailable } from '../../shared/errors.ts'
import type { Aws } from '../aws/index.ts'
import { isSecret } from '../config.ts'

/** What is derived from a secret that is rotated: of its current version, and of the one before while that still counts. */
export interface Secret<T> {
  /** What is held, current first. When that is old it is looked up meanwhile. Empty before the first look-up. */
  held (): readonly T[]
  /** As `held`, but looks first when nobody has for a while: the process may have been frozen over rotations. Never rejects. */
  recent (): Promise<readonly T[]>
  /** As `recent`, and rejects with a 503 when what is held is so old that two rotations may have retired it. */
  certain (): Promise<readonly T[]>
  /** Looks for a rotation, unless what is asked for has been found or that was done too often. Rejects with a 503. */
  renew (isAnswered?: () => boolean): Promise<void>
  /** The first look-up. */
  readonly loaded: Promise<void>
}

/** A secret that the process was started with: a rotation is a restart. */
export function fixedSecret<T> (versions: readonly T[]): Secret<T> {
  return { held: () => versions, async recent () { return versions }, async certain () { return versions }, async renew () {}, loaded: Promise.resolve() }
}

async function fetchVersions (variable: string, arn: string, aws: Aws): Promise<string[]> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
  const client = new SecretsManagerClient(aws.clientOptions())
  const read = async (VersionStage: string) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn, VersionStage }))
    if (SecretString === undefined || !isSecret(SecretString)) throw new Error(`the ${VersionStage} version is not a text of 32 characters or more`)
    return SecretString
  }
  try {
    const [current, previous] = await Promise.all([
      read('AWSCURRENT'),
      // Before the first rotation there is no previous version.
      read('AWSPREVIOUS').catch(error => { if (isErrorNamed(error, 'ResourceNotFoundException')) return undefined; throw error })
    ])
    return previous === undefined ? [current] : [current, previous]
  } catch (error) {
    const { name, message } = error as Error
    throw new Error(`${variable}: the secret cannot be read: ${name}: ${message}`, { cause: error })
  } finally {
    client.destroy()
  }
}

const SECOND = 1_000

/** Milliseconds after which a secret is looked up again while what is held is used … */
const REFRESH_AGE = 240 * SECOND
/** … and after which the look-up is waited for: a process that works has looked before. */
const MAX_AGE = 300 * SECOND
/** Milliseconds between two look-ups when they fail. */
const RETRY_AFTER = 30 * SECOND
/**
 * Milliseconds for which a version that cannot be looked up counts as current or previous: rotations are an hour apart
 * or more (docs/runbook.md), so two of them have not happened since.
 */
const MAX_HELD = 3600 * SECOND

/**
 * Look-ups that unknown keys and wrong codes may cause: this many at once, one more a second. A forged `kid` must turn
 * neither into a call to Secrets Manager each nor into a request that waits for its turn; a rotation takes two at the
 * most, and ten of them in a row are more than there are.
 */
const LOOKUPS = 20

/** By the clock, which goes on while a process is frozen; one that was set back says nothing. */
const isOlder = (since: number, age: number) => Date.now() - since > age || Date.now() < since

/** A secret in Secrets Manager. The first look-up begins at once. */
export function managedSecret<T> ({ variable, arn, aws, log, derive }: {
  /** the variable that names it, for messages */
  variable: string
  arn: string
  aws: Aws
  log: FastifyBaseLogger
  derive: (secret: string) => T
}): Secret<T> {
  let versions: readonly T[] = []
  /** when the look-up began that what is held comes from */
  let heldSince = 0
  /** when the last look-up began, whether it succeeded or not */
  let triedAt = 0
  let lookup: Promise<void> | undefined
  /** whether the one that is under way is the first for a while */
  let isAwaited = false

  /** Looks the secret up, once for all who ask at the same time. */
  function lookUp (): Promise<void> {
    lookup ??= (async () => {
      const at = Date.now()
      isAwaited = isOlder(triedAt, MAX_AGE)
      triedAt = at
      try {
        versions = (await fetchVersions(variable, arn, aws)).map(derive)
        heldSince = at
      } finally {
        lookup = undefined
      }
    })()
    return lookup
  }

  /** Begins a look-up when what is held is old and none was tried just now. */
  function refresh (): void {
    if (lookup !== undefined || !isOlder(heldSince, REFRESH_AGE) || !isOlder(triedAt, RETRY_AFTER)) return
    lookUp().catch(err => log.warn({ err }, 'a secret could not be looked up; what is held is used'))
  }

  let allowance = LOOKUPS
  let refilledAt = Date.now()
  function mayLookUp (): boolean {
    const now = Date.now()
    allowance = Math.min(LOOKUPS, allowance + Math.max(0, now - refilledAt) / SECOND)
    refilledAt = now
    if (allowance < 1) return false
    allowance--
    return true
  }

  const loaded = lookUp()
  loaded.catch(() => {}) // onReady reports it

  async function recent () {
    refresh()
    // While Secrets Manager is away, requests do not wait for each new trial.
    if (isAwaited && isOlder(heldSince, MAX_AGE)) await lookup?.catch(() => {})
    return versions
  }

  return {
    loaded,
    held () {
      refresh()
      return versions
    },
    recent,
    async certain () {
      await recent()
      if (isOlder(heldSince, MAX_HELD)) await lookup?.catch(() => {})
      if (isOlder(heldSince, MAX_HELD)) throw new Unavailable()
      return versions
    },
    async renew (isAnswered = () => false) {
      try {
        // One that is under way may bring the answer, or may have begun before the rotation that the question comes from.
        await lookup
        if (!isAnswered() && (lookup !== undefined || mayLookUp())) await lookUp()
      } catch {
        // Whether a token or a code is good is not known now; calling it bad would sign users out.
        throw new Unavailable()
      }
    }
  }
}
