import { CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { errorLine } from './error-line.ts'
import { readOptions } from './options.ts'
import { addressOf, findStack, missingRecord } from './stack.ts'
import { readStage, STAGES } from './stage.ts'

const HELP = `npm run test:integration [-- --stage NAME]: tests a running service from outside. It registers users there.

  --stage ${STAGES.join('|')}  a deployed stage of samconfig.toml, at the address in its stack's outputs. Needs AWS credentials

Without it:
  PUBLIC_URL  URL of the service (default: http://localhost:3000, npm start)

  INBOX_URL   URL of maildev's inbox (on this machine http://localhost:1080). A deployed stage has none, so tests
              that need a code are skipped there; empty skips them everywhere
  API_KEY     for a stage that requires one
`

/** The address of a stage. */
async function stageUrl (name: string): Promise<string> {
  const { stack, region } = readStage(`${import.meta.dirname}/..`, name)
  const found = await findStack(new CloudFormationClient({ region }), stack)
  if (found === undefined) throw new Error(`there is no stack ${stack} in ${region}`)
  const missing = await missingRecord(found)
  if (missing !== undefined) throw new Error(missing)
  return addressOf(found)
}

const { stage } = readOptions(HELP, { stage: { type: 'string' } })
if (stage !== undefined) {
  try {
    process.env['PUBLIC_URL'] = await stageUrl(stage)
    console.log(`# ${process.env['PUBLIC_URL']}`)
  } catch (error) {
    console.error(`The stage ${stage} cannot be tested: ${(error as Error).name === 'Error' ? (error as Error).message : errorLine(error)}`)
    process.exit(1)
  }
}
const url = process.env['PUBLIC_URL'] ?? 'http://localhost:3000'
await fetch(`${url}/health/live`).catch((error: Error) => {
  console.error(`Nothing answers at ${url} (${((error.cause ?? error) as Error).message}): start it with npm start, or set PUBLIC_URL or --stage`)
  process.exit(1)
})
await import('../test/integration/service.ts')
