import type { Plugin } from 'esbuild'

/** Replaces packages that the service does not need on Lambda by a stub that throws, or by a smaller equivalent. */
export const leftOut: Plugin = {
  name: 'left-out',
  setup ({ onResolve, onLoad }) {
    // Swagger UI and the generator of the documents are left out, because the artifact serves files.
    onResolve({ filter: /\/from-routes\.ts$/ }, ({ path }) => ({ path, namespace: 'left-out' }))
    // Schemas are compiled by the build.
    onResolve({ filter: /^@fastify\/(?:ajv|fast-json-stringify)-compiler$/ }, ({ path }) => ({ path, namespace: 'left-out' }))
    onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({ contents: `throw new Error('${path} is not part of the Lambda artifact')` }))
    // Lambda provides a role's credentials only in the environment, so profile files, SSO and instance metadata are not needed.
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, ({ resolveDir }) => ({ path: 'credentials', namespace: 'credentials', pluginData: resolveDir }))
    onLoad({ filter: /.*/, namespace: 'credentials' }, ({ pluginData }) => ({
      contents: "export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env'",
      resolveDir: pluginData
    }))
  }
}
