import { readOptions } from './options.ts'

const HELP = `npm run test:integration: the service from outside, wherever it runs. It registers users there.

  PUBLIC_URL  the service (http://localhost:3000, which is npm start)
  INBOX_URL   where mails can be read, as maildev's JSON (on this machine http://localhost:1080). A deployed stage has
              none: what needs a code is left out there
  API_KEY     for a stage that asks for one
`

readOptions(HELP)
await import('../test/integration/service.ts')
