import { createAuthorizer } from './authorizer/answers.ts'
import { createJwks } from './authorizer/jwks.ts'
import { loadSettings } from './authorizer/settings.ts'
import { createTokenVerifier } from './authorizer/verifier.ts'

// The Lambda authorizer for other services behind the same gateway. It has no secret, no table and no part of the app.
const { jwksUrl, issuer, audience } = loadSettings(process.env)

export const handler = createAuthorizer(createTokenVerifier({ keys: createJwks(jwksUrl), issuer, audience }))
