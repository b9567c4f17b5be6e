// The SQS engine as a process of its own: its port and its data directory are its arguments.
import { startSqs } from '../../local/sqs.ts'
import { readTemplate } from '../../local/template.ts'

const [port, dataDir] = process.argv.slice(2) as [string, string]
const { queues, buckets } = readTemplate()
await startSqs({ port: Number(port), dataDir, queues, buckets })
console.log('ready')
