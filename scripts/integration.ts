import { readOptions } from './options.ts'

const HELP = `npm run test:integration: tests a running service from outside. It registers users there.

  PUBLIC_URL  URL of the service (default: http://localhost:3000, npm start)
  INBOX_URL   URL of maildev's inbox (on this machine http://localhost:1080). A deployed stage has none, so tests
              that need a code are skipped there
  API_KEY     for a stage that requires one
`

readOptions(HELP)
await import('../test/integration/service.ts')
