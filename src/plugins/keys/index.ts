import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'
import fp from 'fastify-plugin'
import { Unavailable } from '../shared/errors.ts'
import { awsClientOptions } from './aws.ts'
import type { Config } from './config.ts'

/** A public signing key as RFC 8037 writes it. */
export interface PublicJwk { kty: 'OKP', crv: 'Ed25519', x: string, kid: string, alg: 'EdDSA', use: 'sig' }

/** Everything derived from one root secret. */
export interface KeySet {
  /** PEM, PKCS #8 */
  privateKey: string
  /** PEM, SPKI */
  publicKey: string
  jwk: PublicJwk
  code: Buffer
  pseudonym: Buffer
}

export interface Keys {
  readonly current: KeySet
  /** current first, then the one before the last rotation while it still verifies */
  readonly all: readonly KeySet[]
  /** The key set that signed under this `kid`. For one that is not known the secret is looked up again, as often as `renew` may. */
  find (kid: string): Promise<KeySet | undefined>
  /** Looks the secret up again, in case it was rotated; does nothing when that was done too often. Rejects with a 503. */
  renew (): Promise<void>
}

interface RootSecrets { current: string, previous: string | undefined }

// RFC 8410: PKCS #8 wrapping of a raw 32-byte Ed25519 seed.
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Keys of one root secret, by HKDF (RFC 5869) with one label for each purpose. */
export function deriveKeys (rootSecret: string): KeySet {
  const derive = (label: string) => Buffer.from(hkdfSync('sha256', rootSecret, 'user-service', label, 32))
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, derive('access-token-signing')]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  const x = publicKey.export({ format: 'jwk' }).x!
  // RFC 7638: the required members only, in lexical order.
  const kid = createHash('sha256').update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x })).digest('base64url')
  return {
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' },
    code: derive('challenge-code'),
    pseudonym: derive('pseudonym')
  }
}

async function fetchSecrets (arn: string, config: Config): Promise<RootSecrets> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
  const client = new SecretsManagerClient(awsClientOptions(config))
  const read = async (VersionStage: string) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn, VersionStage }))
    if (SecretString === undefined || SecretString.length < 32) throw new Error(`the ${VersionStage} version is not a text of 32 characters or more`)
    return SecretString
  }
  try {
    const [current, previous] = await Promise.all([
      read('AWSCURRENT'),
      // Before the first rotation there is no previous version.
      read('AWSPREVIOUS').catch((error: Error) => { if (error.name === 'ResourceNotFoundException') return undefined; throw error })
    ])
    return { current, previous }
  } catch (error) {
    const { name, message } = error as Error
    throw new Error(`JWT_SECRET_ARN: the secret cannot be read: ${name}: ${message}`, { cause: error })
  } finally {
    client.destroy()
  }
}

/**
 * Look-ups that unknown keys may cause: this many at once, one more a second. A forged `kid` must turn neither into a
 * call to Secrets Manager each nor into a request that waits for its turn; a rotation takes two at the most, and ten of
 * them in a row are more than there are.
 */
const LOOKUPS = 20

/** Milliseconds after which a running process looks for a rotation by itself, so that it signs with the current key and forgets old ones. */
const MAX_AGE = 300_000

declare module 'fastify' {
  interface FastifyInstance {
    keys: Keys
  }
}

/** Keys derived from the root secret: given in the configuration, or fetched once while the other plugins load. */
export default fp(async function keys (app) {
  const { JWT_SECRET, JWT_SECRET_PREVIOUS, JWT_SECRET_ARN } = app.config

  if (JWT_SECRET !== undefined) {
    const all = [JWT_SECRET, JWT_SECRET_PREVIOUS].filter(secret => secret !== undefined).map(deriveKeys)
    app.decorate('keys', { current: all[0]!, all, async find (kid) { return all.find(set => set.jwk.kid === kid) }, async renew () {} })
    return
  }

  let sets: KeySet[] = []
  /** when the last look-up began, whether it succeeded or not */
  let lookedUpAt = 0
  let lookup: Promise<void> | undefined

  /** Looks the secret up, once for everybody who asks at the same time. */
  function lookUp (): Promise<void> {
    lookup ??= (async () => {
      lookedUpAt = Date.now()
      try {
        const { current, previous } = await fetchSecrets(JWT_SECRET_ARN!, app.config)
        sets = [current, previous].filter(secret => secret !== undefined).map(deriveKeys)
      } finally {
        lookup = undefined
      }
    })()
    return lookup
  }

  const loaded = lookUp()
  loaded.catch(() => {}) // onReady tells it
  app.addHook('onReady', async () => { await loaded })

  let allowance = LOOKUPS
  let refilledAt = Date.now()
  function mayLookUp (): boolean {
    const now = Date.now()
    allowance = Math.min(LOOKUPS, allowance + (now - refilledAt) / 1000)
    refilledAt = now
    if (allowance < 1) return false
    allowance--
    return true
  }

  /** The sets held; when they are old, newer ones are fetched meanwhile. */
  function held (): KeySet[] {
    if (lookup === undefined && Date.now() - lookedUpAt > MAX_AGE) lookUp().catch(error => app.log.warn({ err: error }, 'the root secret could not be looked up'))
    return sets
  }

  async function renew (isAnswered = () => false) {
    try {
      // One that is under way may bring the answer, or may have begun before the rotation that the question comes from.
      await lookup
      if (!isAnswered() && (lookup !== undefined || mayLookUp())) await lookUp()
    } catch {
      // Whether a token or a code is good cannot be told now; calling it bad would sign people out.
      throw new Unavailable()
    }
  }

  app.decorate('keys', {
    get current () { return held()[0]! },
    get all () { return held() },
    renew: () => renew(),
    async find (kid) {
      const find = () => sets.find(set => set.jwk.kid === kid)
      held()
      if (find() === undefined) await renew(() => find() !== undefined)
      return find()
    }
  })
}, { name: 'keys', dependencies: ['config'] })
