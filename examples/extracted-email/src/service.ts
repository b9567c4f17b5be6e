import Fastify, { type FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import email from '../../../src/modules/email/index.ts'
import aws from '../../../src/plugins/aws/index.ts'
import breakers from '../../../src/plugins/breakers.ts'
import config, { type Config } from '../../../src/plugins/config.ts'
import consumers from '../../../src/plugins/consumers.ts'
import dynamodb from '../../../src/plugins/dynamodb.ts'
import keys from '../../../src/plugins/keys/index.ts'
import metrics from '../../../src/plugins/metrics.ts'
import spans from '../../../src/plugins/spans.ts'
import sqs from '../../../src/plugins/sqs.ts'

/** This service has no API, so nothing is written about one. */
const docs = fp(async function docs (app) {
  app.decorate('apiDocs', { tag () {}, event () {}, queue () {} } as never)
}, { name: 'docs' })

/** The list of everything in this service: the plugins that the module depends on, and the module. It listens on no port. */
export async function buildService (options: { config: Config, logger: FastifyBaseLogger }) {
  const app = Fastify({ loggerInstance: options.logger })
  await app.register(config, { config: options.config })
  await app.register(spans, {})
  await app.register(aws, {})
  await app.register(keys)
  await app.register(metrics)
  await app.register(breakers)
  await app.register(dynamodb)
  await app.register(consumers)
  await app.register(sqs)
  await app.register(docs)
  await app.register(email)
  await app.ready()
  return app
}
