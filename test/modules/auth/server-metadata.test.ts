import t from 'tap'
import { serverMetadata } from '../../../src/modules/auth/server-metadata.ts'

t.test('a verifier learns the issuer and where its keys are, and no endpoint or grant that OAuth clients would use', async t => {
  const config = { JWT_ISSUER: 'user-service', PUBLIC_URL: 'https://api.example.com/team/users' }
  const metadata = { issuer: 'user-service', jwks_uri: 'https://api.example.com/team/users/.well-known/jwks.json', grant_types_supported: [], response_types_supported: [] }
  t.same(serverMetadata({ ...config, DOCS_ENABLED: true }), { ...metadata, service_documentation: 'https://api.example.com/team/users/docs' })
  t.same(serverMetadata({ ...config, DOCS_ENABLED: false }), metadata)
})
