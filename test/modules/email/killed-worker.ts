// A worker that dies as if by kill -9 between the mail server's "250 OK" and the record of it. Takes the batch as its
// argument and the environment from its parent.
import { flushCompileCache } from 'node:module'
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/plugins/config.ts'
import { intercept } from '../../faults.ts'

const app = await buildApp({ config: loadConfig(process.env), docs: { source: 'routes' } })
intercept(app.dynamodb, {}, async ({ input, send }) => {
  if ((input as { Item?: { state?: { S?: string } } }).Item?.state?.S === 'sent') {
    flushCompileCache() // a killed process leaves none, and the next one starts in half the time with it
    process.kill(process.pid, 'SIGKILL')
  }
  return await send()
})
await app.ready()
await app.consumers.deliver(JSON.parse(process.argv[2]!))
