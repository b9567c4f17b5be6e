import { createSigner } from 'fast-jwt'
import { deriveKeys } from '../src/plugins/keys/derive.ts'
import { TOKEN_TYPE } from '../src/shared/access-token.ts'

/** Makes access tokens as a service with this root secret signs them, good for a day. For programs that have no app at hand. */
export function accessTokens ({ secret, issuer, audience }: { secret: string, issuer: string, audience: string }): (claims: { sub: string, email: string, sid: string, jti: string }) => string {
  const { privateKey, jwk: { kid } } = deriveKeys(secret)
  const sign = createSigner({ key: privateKey, algorithm: 'EdDSA', kid, header: { alg: 'EdDSA', typ: TOKEN_TYPE, kid }, expiresIn: 24 * 3_600_000, iss: issuer, aud: audience })
  return claims => sign({ ...claims, userId: claims.sub, role: 'user' })
}
