import fp from 'fastify-plugin'
import type {} from '../aws/index.ts'
import { codeFor, deriveKeys, deriveMailKeys, isCodeFor, openWith, pseudonymFor, sealWith, type KeySet, type MailKeys, type PublicJwk } from './derive.ts'
import { fixedSecret, managedSecret, type Secret } from './secret.ts'

/** Operations with the secrets. None of them exposes a key. */
export interface Keys {
  /** The code of a challenge, 8 digits. */
  codeOf (challengeId: string): string
  /** Whether a code belongs to the challenge, under the current or the previous key. Rejects with a 503 when that is unknown. */
  isCode (challengeId: string, code: string): Promise<boolean>
  /** A pseudonym for personal data in places that must not contain the data itself (counters, logs): 22 characters, base64url. */
  pseudonym (value: string): string
  /** The pseudonyms under each valid key, current first. Data written before a rotation has the second one. */
  pseudonyms (value: string): string[]
  /**
   * The pseudonyms of the recipient of a mail under each valid key, current first. Unlike `pseudonyms`, a process that has
   * only the secret of codes can make them.
   */
  recipients (address: string): string[]
  /** A text with a signature, safe in URLs, for what clients hand back unchanged. Clients can read it. */
  seal (text: string): string
  /** The text of `seal`, under the current or the previous key; `undefined` for anything else. Rejects with a 503 when that is unknown. */
  open (sealed: string): Promise<string | undefined>
  /** Public signing keys, current first. */
  readonly jwks: PublicJwk[]
  /**
   * Looks the secrets up again if the process was frozen for a while. Await it before `codeOf` or `jwks`, unless another
   * lookup came first. Never rejects.
   */
  refresh (): Promise<void>
}

/** Only for plugins/jwt: the signing keys. */
export interface SigningKeys {
  /** The current signing key. Rejects with a 503 when it may have been retired. */
  current (): Promise<{ kid: string, privateKey: string }>
  /** The PEM of the public key with this `kid`. An unknown `kid` causes a rate-limited lookup of the secret. */
  publicKey (kid: string): Promise<string | undefined>
}

declare module 'fastify' {
  interface FastifyInstance {
    keys: Keys
    signingKeys: SigningKeys
  }
}

/** Replaces the root secret in a process that has none. */
function noRootSecret (): Secret<KeySet> {
  function refuse (): never {
    throw new Error('This process has no root secret, so it can make codes but cannot sign or check access tokens. Set JWT_SECRET or JWT_SECRET_ARN')
  }
  const reject = async () => refuse()
  return { held: refuse, recent: reject, certain: reject, renew: reject, loaded: Promise.resolve() }
}

/** Keys derived from secrets in the configuration, or from secrets that are looked up while the other plugins load. */
export default fp(async function keys (app) {
  const { JWT_SECRET, JWT_SECRET_PREVIOUS, JWT_SECRET_ARN, CODE_SECRET, CODE_SECRET_ARN } = app.config

  function managed<T> (variable: string, arn: string, derive: (secret: string) => T): Secret<T> {
    const secret = managedSecret({ variable, arn, derive, aws: app.aws, log: app.log })
    app.addHook('onReady', async () => { await secret.loaded })
    return secret
  }

  const hasRoot = (JWT_SECRET ?? JWT_SECRET_ARN) !== undefined
  const root = JWT_SECRET_ARN !== undefined
    ? managed('JWT_SECRET_ARN', JWT_SECRET_ARN, deriveKeys)
    : JWT_SECRET !== undefined
      ? fixedSecret([JWT_SECRET, JWT_SECRET_PREVIOUS].filter(secret => secret !== undefined).map(deriveKeys))
      : noRootSecret()
  const own = CODE_SECRET_ARN !== undefined
    ? managed('CODE_SECRET_ARN', CODE_SECRET_ARN, deriveMailKeys)
    : CODE_SECRET !== undefined ? fixedSecret([deriveMailKeys(CODE_SECRET)]) : undefined
  const mail: Pick<Secret<MailKeys>, 'held' | 'recent' | 'renew'> = own ?? {
    held: () => root.held().map(set => set.mail),
    recent: async () => (await root.recent()).map(set => set.mail),
    renew: isAnswered => root.renew(isAnswered)
  }

  const codeKeys = (keys: readonly MailKeys[]) => keys.map(({ code }) => code)

  app.decorate('keys', {
    codeOf: challengeId => codeFor(mail.held()[0]!.code, challengeId),
    async isCode (challengeId, code) {
      if (isCodeFor(codeKeys(await mail.recent()), challengeId, code)) return true
      const isRight = () => isCodeFor(codeKeys(mail.held()), challengeId, code)
      // The worker that mailed the code may have seen a rotation that this process has not.
      await mail.renew(isRight)
      return isRight()
    },
    pseudonym: value => pseudonymFor(root.held()[0]!.pseudonym, value),
    pseudonyms: value => root.held().map(set => pseudonymFor(set.pseudonym, value)),
    recipients: address => mail.held().map(keys => pseudonymFor(keys.recipient, address)),
    seal: text => sealWith(root.held()[0]!.seal, text),
    async open (sealed) {
      const find = () => openWith(root.held().map(set => set.seal), sealed)
      await root.recent()
      // Another process may have sealed it after a rotation that this process has not seen.
      if (find() === undefined) await root.renew(() => find() !== undefined)
      return find()
    },
    get jwks () { return root.held().map(set => set.jwk) },
    async refresh () {
      await Promise.all([mail.recent(), hasRoot ? root.recent() : undefined])
    }
  })

  app.decorate('signingKeys', {
    async current () {
      const [current] = await root.certain()
      return { kid: current!.jwk.kid, privateKey: current!.privateKey }
    },
    async publicKey (kid) {
      const find = () => root.held().find(set => set.jwk.kid === kid)?.publicKey
      await root.recent()
      if (find() === undefined) await root.renew(() => find() !== undefined)
      return find()
    }
  })
}, { name: 'keys', dependencies: ['config', 'aws'] })
