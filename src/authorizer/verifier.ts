import { createDecoder, createVerifier } from 'fast-jwt'
import { MAX_AUTHORIZATION, tokenRules } from '../shared/access-token.ts'
import type { AccessClaims } from '../plugins/jwt.ts'
import type { KeySource } from './jwks.ts'

/** The claims of the token in an Authorization header; `undefined` when it is not a valid one. Rejects when that is unknown. */
export type Verify = (authorization: string | undefined) => Promise<AccessClaims | undefined>

/** Verifies access tokens by the rules of the app, with public keys only. */
export function createTokenVerifier ({ keys, issuer, audience }: { keys: KeySource, issuer: string, audience: string }): Verify {
  const decode = createDecoder({ complete: true })
  const rules = tokenRules({ issuer, audience })
  /** by key: each has its own cache of verified tokens */
  const verifiers = new Map<string, (token: string) => AccessClaims>()

  function verifierOf (key: string) {
    let verify = verifiers.get(key)
    if (verify === undefined) {
      // The current key and the previous one. Older ones are not needed any more.
      if (verifiers.size >= 2) verifiers.clear()
      verify = createVerifier({ ...rules, key }) as (token: string) => AccessClaims
      verifiers.set(key, verify)
    }
    return verify
  }

  /** `undefined` when the token cannot be read. */
  function kidOf (token: string): string | undefined {
    try {
      const { header } = decode(token) as { header: { kid?: unknown } }
      return typeof header.kid === 'string' ? header.kid : undefined
    } catch {
      return undefined
    }
  }

  return async function verify (authorization = '') {
    if (authorization.length > MAX_AUTHORIZATION) return undefined
    const [scheme = '', token, ...more] = authorization.split(' ')
    if (!/^bearer$/i.test(scheme) || token === undefined || token === '' || more.length > 0) return undefined
    const kid = kidOf(token)
    const key = kid === undefined ? undefined : await keys.find(kid)
    if (key === undefined) return undefined
    try {
      return verifierOf(key)(token)
    } catch {
      return undefined
    }
  }
}
