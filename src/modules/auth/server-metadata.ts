import type { ServerMetadata } from './schemas.ts'

interface MetadataConfig { JWT_ISSUER: string, PUBLIC_URL: string, DOCS_ENABLED: boolean }

/**
 * RFC 8414 metadata for verifiers of access tokens. The endpoints for tokens and revocation are left out, because an OAuth
 * client would send them a form. The empty lists are said nevertheless: without them RFC 8414 assumes OAuth's own grants.
 */
export const serverMetadata = ({ JWT_ISSUER, PUBLIC_URL, DOCS_ENABLED }: MetadataConfig): ServerMetadata => ({
  issuer: JWT_ISSUER,
  jwks_uri: `${PUBLIC_URL}/.well-known/jwks.json`,
  grant_types_supported: [],
  response_types_supported: [],
  ...(DOCS_ENABLED ? { service_documentation: `${PUBLIC_URL}/docs` } : {})
})
