import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'
import fp from 'fastify-plugin'
import { Unavailable } from '../shared/errors.ts'

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
  /** The key set that signed under this `kid`; looks the secret up again when it does not know it, at most once a second. */
  find (kid: string): Promise<KeySet | undefined>
}

interface RootSecrets { current: string, previous?: string | undefined }

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

async function fetchSecrets (arn: string, region: string): Promise<RootSecrets> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
  const client = new SecretsManagerClient({ region, maxAttempts: 3 })
  const read = async (VersionStage: string) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn, VersionStage }))
    if (SecretString === undefined || SecretString.length < 32) throw new Error(`JWT_SECRET_ARN: the ${VersionStage} version is not a text of 32 characters or more`)
    return SecretString
  }
  try {
    const [current, previous] = await Promise.all([
      read('AWSCURRENT'),
      // Before the first rotation there is no previous version.
      read('AWSPREVIOUS').catch((error: Error) => { if (error.name === 'ResourceNotFoundException') return undefined; throw error })
    ])
    return { current, previous }
  } finally {
    client.destroy()
  }
}

/** Milliseconds between two look-ups of the secret: a forged `kid` must not turn into a call to Secrets Manager each. */
const REFRESH_INTERVAL = 1000

/** Milliseconds after which a running process looks for a rotation by itself, so that it signs with the current key. */
const MAX_AGE = 300_000

declare module 'fastify' {
  interface FastifyInstance {
    keys: Keys
  }
}

/** Keys derived from the root secret: given in the configuration, or fetched once while the other plugins load. */
export default fp(async function keys (app) {
  const { JWT_SECRET, JWT_SECRET_PREVIOUS, JWT_SECRET_ARN, AWS_REGION } = app.config
  let sets: KeySet[] = []
  let fetchedAt = 0
  let fetching: Promise<void> | undefined

  function load (): Promise<void> {
    fetching ??= (async () => {
      try {
        const root: RootSecrets = JWT_SECRET_ARN === undefined
          ? { current: JWT_SECRET!, previous: JWT_SECRET_PREVIOUS }
          : await fetchSecrets(JWT_SECRET_ARN, AWS_REGION)
        sets = [root.current, root.previous].filter(secret => secret !== undefined).map(deriveKeys)
      } finally {
        fetchedAt = Date.now()
        fetching = undefined
      }
    })()
    return fetching
  }

  const loaded = load()
  loaded.catch(() => {}) // onReady tells it
  app.addHook('onReady', async () => { await loaded })

  app.decorate('keys', {
    get current () {
      if (JWT_SECRET_ARN !== undefined && Date.now() - fetchedAt > MAX_AGE) load().catch(error => app.log.warn({ err: error }, 'the root secret could not be refreshed'))
      return sets[0]!
    },
    get all () { return sets },
    async find (kid) {
      const known = sets.find(set => set.jwk.kid === kid)
      if (known !== undefined || JWT_SECRET_ARN === undefined || Date.now() - fetchedAt < REFRESH_INTERVAL) return known
      try {
        await load()
      } catch {
        // Whether the token is good cannot be told now; calling it bad would sign people out.
        throw new Unavailable()
      }
      return sets.find(set => set.jwk.kid === kid)
    }
  })
}, { name: 'keys', dependencies: ['config'] })
