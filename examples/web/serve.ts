import { build } from 'esbuild'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { readOptions } from '../../scripts/options.ts'

const HELP = `node examples/web/serve.ts: bundles the sign-in page and serves it, for development. A reload shows what was changed.

  PORT=5173                        port of the page; 0 selects a free one
  API_URL=http://localhost:3000    where the service is; it must have the page's origin in CORS_ORIGIN
  BUCKET_ORIGIN=http://127.0.0.1:* where pictures are uploaded to and shown from: the origin of the uploads bucket

  --to DIR   writes the files for a host of static files instead, and prints the headers that it must send
`

const FOLDER = import.meta.dirname
const { PORT = '5173', API_URL = 'http://localhost:3000', BUCKET_ORIGIN = 'http://127.0.0.1:*' } = process.env

const { to } = readOptions(HELP, { to: { type: 'string' } }) as { to?: string }
if (!/^https?:/.test(API_URL) || !URL.canParse(API_URL) || !/^\d{1,5}$/.test(PORT)) {
  console.error('API_URL must be a URL such as http://localhost:3000, and PORT a port: --help lists the settings')
  process.exit(2)
}
const api = new URL(API_URL).origin

/** The page loads its own script and style, and calls the service and the bucket. No script can be injected, and none can make markup of text. */
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data: ${api} ${BUCKET_ORIGIN}`,
    `connect-src ${api} ${BUCKET_ORIGIN}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'"
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-cache'
}

async function bundle (): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(FOLDER, 'src/main.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    define: { API_URL: JSON.stringify(API_URL) },
    write: false,
    logLevel: 'error'
  })
  return outputFiles[0]!.text
}

const FILES: Record<string, { type: string, read: () => string | Promise<string> }> = {
  '/': { type: 'text/html; charset=utf-8', read: () => readFileSync(join(FOLDER, 'index.html'), 'utf8') },
  '/style.css': { type: 'text/css; charset=utf-8', read: () => readFileSync(join(FOLDER, 'style.css'), 'utf8') },
  '/app.js': { type: 'text/javascript; charset=utf-8', read: bundle }
}

async function write (directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true })
  for (const name of ['index.html', 'style.css']) copyFileSync(join(FOLDER, name), join(directory, name))
  writeFileSync(join(directory, 'app.js'), await bundle())
  console.log(`${directory} has the page. Serve it with these headers:\n\n${Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}`).join('\n')}`)
}

function serve (): void {
  const server = createServer((request, response) => {
    const file = FILES[new URL(request.url ?? '/', 'http://localhost').pathname]
    if (file === undefined) return void response.writeHead(404).end()
    Promise.resolve(file.read()).then(
      text => response.writeHead(200, { ...HEADERS, 'content-type': file.type }).end(text),
      // The terminal has esbuild's message already.
      () => response.writeHead(500).end()
    )
  })
  server.once('error', (error: Error) => {
    console.error(`${error.message}: PORT=… selects another port`)
    process.exitCode = 1
  })
  server.listen(Number(PORT), 'localhost', () => {
    const url = `http://localhost:${(server.address() as AddressInfo).port}`
    console.log(`The page is at ${url}, for the service at ${API_URL}. Ctrl-C stops it.`)
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close()
      server.closeAllConnections()
    })
  }
}

if (to === undefined) serve()
else await write(resolve(to))
