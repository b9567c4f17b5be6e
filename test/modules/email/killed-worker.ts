// A worker that dies as if by kill -9 between the mail server's "250 OK" and the record of it. Takes the batch as its
// argument and the environment from its parent.
import { buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/plugins/config.ts'

const app = await buildApp({ config: loadConfig(process.env), docs: { source: 'routes' } })
app.dynamodb.middlewareStack.add(next => async (args) => {
  const { Item } = args.input as { Item?: Record<string, { S?: string }> }
  if (Item?.['state']?.S === 'sent') process.kill(process.pid, 'SIGKILL')
  return next(args)
}, { step: 'finalizeRequest', name: 'die' })
await app.ready()
await app.email.handleBatch(JSON.parse(process.argv[2]!))
