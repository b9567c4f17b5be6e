import Fastify, { type FastifyPluginCallback } from 'fastify'
import t from 'tap'
import { completeEnv } from '../../local/env.ts'
import aws from '../../src/plugins/aws/index.ts'
import config, { loadConfig } from '../../src/plugins/config.ts'
import logging from '../../src/plugins/logging.ts'
import metrics from '../../src/plugins/metrics.ts'
import requestTarget from '../../src/plugins/request-target.ts'
import s3 from '../../src/plugins/s3.ts'
import securityHeaders from '../../src/plugins/security-headers.ts'
import spans from '../../src/plugins/spans.ts'
import sqs from '../../src/plugins/sqs.ts'
import versions from '../../src/plugins/versions.ts'
import { checkDependencies } from './dependencies.ts'

const options = { config: loadConfig(completeEnv()), tracer: undefined, tracing: undefined, metrics: undefined }

/** Plugins in an order in which each has what it needs. */
const PLUGINS: [name: string, plugin: FastifyPluginCallback<typeof options>, needs: string[]][] = [
  ['config', config, []],
  ['spans', spans, []],
  ['aws', aws, ['config']],
  ['metrics', metrics, ['config']],
  ['logging', logging, ['metrics']],
  ['security-headers', securityHeaders, []],
  ['versions', versions, ['config']],
  ['request-target', requestTarget, []],
  ['sqs', sqs, ['config', 'aws']],
  ['s3', s3, ['config', 'aws']]
]

for (const [name, plugin, needs] of PLUGINS) if (needs.length > 0) checkDependencies(name, plugin, needs)

t.test('a plugin is known by its name', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  for (const [name, plugin] of PLUGINS) {
    await app.register(plugin, options)
    t.ok(app.hasPlugin(name), name)
  }
})
