import type { FastifyInstance } from 'fastify'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createStaticAnswer } from '../../shared/static-answer.ts'

/** The files of Swagger UI. `npm run build` can include them in the Lambda artifact. */
export const UI_FILES = { 'swagger-ui.css': 'text/css', 'swagger-ui-bundle.js': 'text/javascript', 'swagger-ui-standalone-preset.js': 'text/javascript' } as const

// URLs are relative to /docs, because a stage or a proxy may put a path in front of it.
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>User service API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>body { margin: 0 }</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`

const DOCUMENTS = {
  v2: { name: 'Version 2', url: 'openapi/v2.json' },
  v1: { name: 'Version 1 (deprecated)', url: 'openapi/v1.json' }
}

/**
 * Starts Swagger UI. A version that has been switched off is not in its selector: each call would fail.
 *
 * Calls go to where the page was opened, because PUBLIC_URL may be another host, such as that of a forwarded port, and the
 * browser would block them.
 */
const startScript = (isV1Enabled: boolean) => `const base = new URL('.', location.href).href.slice(0, -1)
const urls = ${JSON.stringify(isV1Enabled ? [DOCUMENTS.v2, DOCUMENTS.v1] : [DOCUMENTS.v2])}
const documents = urls.map(({ url }) => new URL(url, location.href).href)
SwaggerUIBundle({
  dom_id: '#swagger-ui',
  layout: 'StandaloneLayout',
  responseInterceptor (response) {
    if (response.ok && documents.includes(response.url)) response.text = JSON.stringify({ ...JSON.parse(response.text), servers: [{ url: base }] })
    return response
  },
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  urls,
  deepLinking: true,
  displayOperationId: true,
  validatorUrl: null,
  persistAuthorization: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0
})
`

// Swagger UI needs style attributes and inline images. Everything else is limited to this origin.
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** Serves Swagger UI at `/docs`, with both versions in its selector; `directory` holds `UI_FILES`. */
export function serveUi (app: FastifyInstance, directory: string): void {
  const hidden = { schema: { hide: true } }

  // Revalidated on each load, because its files change with a deployment.
  app.get('/docs', hidden, createStaticAnswer({
    load: () => PAGE,
    type: 'text/html; charset=utf-8',
    cacheControl: 'no-cache',
    headers: { 'content-security-policy': CONTENT_SECURITY_POLICY }
  }))
  app.get('/docs/', hidden, async (_request, reply) => reply.redirect('../docs'))
  app.get('/docs/start.js', hidden, createStaticAnswer({ load: () => startScript(app.config.V1_ENABLED), type: 'text/javascript; charset=utf-8', cacheControl: 'no-cache' }))
  for (const [name, type] of Object.entries(UI_FILES)) {
    app.get(`/docs/${name}`, hidden, createStaticAnswer({
      load: () => readFile(join(directory, name)),
      type: `${type}; charset=utf-8`,
      // An update changes the files under the same name, so they are cached for one hour only.
      cacheControl: 'public, max-age=3600'
    }))
  }
}
