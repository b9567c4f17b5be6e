import './require-node.cjs'
import { existsSync } from 'node:fs'
import { ConfigError, loadConfig } from '../src/plugins/config.ts'
import { readOptions } from './options.ts'

const HELP = `npm run serve: the plain server, configured only by the environment.

It reads .env from the project's folder if it exists; variables that are already set take precedence. .env.example lists
every variable: cp .env.example .env, and fill in JWT_SECRET.

It is one process, for one core. To use more cores, run several behind a load balancer, with REDIS_URL or without a cache
(CACHE_TTL_SECONDS=0); each counts RATE_LIMIT_MAX for itself.

To use the engines of a running npm start instead: npm exec -- node --env-file=.local/env src/server.ts
`

readOptions(HELP)
const hasFile = existsSync('.env')
if (hasFile) process.loadEnvFile('.env')
try {
  loadConfig(process.env)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(`${error.message}${hasFile ? '' : '. There is no .env: cp .env.example .env, and fill in JWT_SECRET'}`)
  process.exit(1)
}
await import('../src/server.ts')
