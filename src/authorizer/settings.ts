/** What the authorizer needs. None of it is a secret: it verifies with public keys and cannot sign. */
export interface Settings {
  /** where the service publishes its signing keys: `PUBLIC_URL/.well-known/jwks.json` */
  jwksUrl: string
  /** `JWT_ISSUER` and `JWT_AUDIENCE` of the service */
  issuer: string
  audience: string
}

function isKeySetUrl (text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  // Over plain HTTP anyone on the way could replace the keys.
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1'].includes(hostname))
}

/**
 * Reads the settings from the environment.
 *
 * @throws with one line that names the variable
 */
export function loadSettings (env: Record<string, string | undefined>): Settings {
  const read = (name: string) => {
    const value = env[name]?.trim() ?? ''
    if (value === '') throw new Error(`Configuration: ${name} is missing`)
    return value
  }
  const jwksUrl = read('JWKS_URL')
  if (!isKeySetUrl(jwksUrl)) throw new Error('Configuration: JWKS_URL is not valid: expected an https URL')
  return { jwksUrl, issuer: read('JWT_ISSUER'), audience: read('JWT_AUDIENCE') }
}
