import type { FastifyBaseLogger } from 'fastify'
import { isErrorNamed } from '../../shared/aws-errors.ts'
import { Unavailable } from '../../shared/errors.ts'
import type { Aws } from '../aws/index.ts'
import { createJsonClient } from '../aws/json-client.ts'
import { isSecret } from '../config.ts'

/** Values derived from a rotated secret: from its current version, and from the previous one while it is valid. */
export interface Secret<T> {
  /** The cached values, current first; empty before the first lookup. Old values start a lookup in the background. */
  held (): readonly T[]
  /** Like `held`, but waits for a lookup when the last one is long ago: the process may have been frozen during rotations. Never rejects. */
  recent (): Promise<readonly T[]>
  /** Like `recent`, but rejects with a 503 when the values are so old that two rotations may have retired them. */
  certain (): Promise<readonly T[]>
  /** Looks for a rotation, unless the value has been found already or the lookups are over their limit. Rejects with a 503. */
  renew (isAnswered: () => boolean): Promise<void>
  /** Resolves after the first lookup. */
  readonly loaded: Promise<void>
}

/** A secret from the environment: to rotate it, restart the process. */
export function fixedSecret<T> (versions: readonly T[]): Secret<T> {
  return { held: () => versions, async recent () { return versions }, async certain () { return versions }, async renew () {}, loaded: Promise.resolve() }
}

const SECRETS_MANAGER = { name: 'secretsmanager', target: 'secretsmanager', clientName: 'SecretsManagerClient', endpointVariable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER' }

async function fetchVersions (variable: string, arn: string, aws: Aws): Promise<string[]> {
  const client = aws.traced(createJsonClient(aws.clientOptions(), SECRETS_MANAGER))
  const read = async (VersionStage: string) => {
    const { SecretString } = await client.call('GetSecretValue', { SecretId: arn, VersionStage })
    if (typeof SecretString !== 'string' || !isSecret(SecretString)) throw new Error(`the ${VersionStage} version is not a text of 32 characters or more`)
    return SecretString
  }
  const reads = [
    read('AWSCURRENT'),
    // Before the first rotation there is no previous version.
    read('AWSPREVIOUS').catch(error => { if (isErrorNamed(error, 'ResourceNotFoundException')) return undefined; throw error })
  ] as const
  try {
    const [current, previous] = await Promise.all(reads)
    return previous === undefined ? [current] : [current, previous]
  } catch (error) {
    const { name, message } = error as Error
    throw new Error(`${variable}: the secret cannot be read: ${name}: ${message}`, { cause: error })
  } finally {
    // When one fails, the other may still run: without its connection it would be sent again.
    await Promise.allSettled(reads)
    client.destroy()
  }
}

const SECOND = 1_000

/** Milliseconds after which a secret is looked up again in the background. */
const REFRESH_AGE = 45 * SECOND
/**
 * Milliseconds after which callers wait for the lookup. A process that is not frozen has looked it up before. This is for how
 * long a leaked key is accepted after two rotations (ADR 112).
 */
const MAX_AGE = 60 * SECOND
/** Milliseconds between two failed lookups. */
const RETRY_AFTER = 30 * SECOND
/**
 * Milliseconds for which a cached version counts as current or previous while lookups fail. Rotations are at least an hour
 * apart unless a key has leaked (docs/runbook.md), so at most one has happened since.
 */
const MAX_HELD = 3600 * SECOND

/**
 * Lookups that unknown keys and wrong codes may cause: a burst of this many, then one per second. Forged `kid` values must
 * not cause a call to Secrets Manager each, or requests that queue. A rotation needs two lookups at most, so a burst of
 * ten is plenty.
 */
const LOOKUPS = 20

/** Age by the wall clock, which continues while a process is frozen. A clock that was set back makes the age unknown. */
const isOlder = (since: number, age: number) => Date.now() - since > age || Date.now() < since

/** A secret in Secrets Manager. The first lookup starts at once. */
export function managedSecret<T> ({ variable, arn, aws, log, derive }: {
  /** the variable that configures it, for messages */
  variable: string
  arn: string
  aws: Aws
  log: FastifyBaseLogger
  derive: (secret: string) => T
}): Secret<T> {
  let versions: readonly T[] = []
  /** when the lookup of the cached values started */
  let heldSince = 0
  /** when the last lookup started, successful or not */
  let triedAt = 0
  let lookup: Promise<void> | undefined
  /** whether the current lookup is the first for a while */
  let isAwaited = false

  /** Looks the secret up. Concurrent callers share one lookup. */
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

  /** Starts a lookup when the cached values are old and the last try was not just now. */
  function refresh (): void {
    if (lookup !== undefined || !isOlder(heldSince, REFRESH_AGE) || !isOlder(triedAt, RETRY_AFTER)) return
    lookUp().catch(err => log.warn({ err }, 'a secret could not be looked up; the cached version is used'))
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
    // While Secrets Manager does not answer, requests do not wait for each new try.
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
    async renew (isAnswered) {
      try {
        // A running lookup may find the value, or may have started before the rotation that introduced it.
        await lookup
        if (!isAnswered() && (lookup !== undefined || mayLookUp())) await lookUp()
      } catch {
        // It is unknown now whether the token or code is valid. Rejecting it would sign users out.
        throw new Unavailable()
      }
    }
  }
}
